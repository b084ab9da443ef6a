package org.wagiri.fiji;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.GenericDialog;
import ij.gui.MessageDialog;
import ij.io.FileSaver;
import ij.plugin.frame.Recorder;
import ij.process.ShortProcessor;
import java.awt.Window;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.Before;
import org.junit.BeforeClass;
import org.junit.ClassRule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The commands in a real window of stock ImageJ, out of the finished jar. Needs a screen. */
public class WindowIT {
    @ClassRule public static final TemporaryFolder FOLDER = new TemporaryFolder();

    private static ImageJ imageJ;

    @BeforeClass
    public static void start() throws Exception {
        imageJ = Screen.imageJ(FOLDER.getRoot().toPath());
    }

    @Before
    public void closeImages() {
        WindowManager.closeAllWindows();
        IJ.log("\\Clear");
        if (Recorder.getInstance() != null) {
            Recorder.getInstance().close();
        }
    }

    private static Path folder(String name) throws Exception {
        return Files.createDirectories(FOLDER.getRoot().toPath().resolve(name));
    }

    @Test
    public void recorderWritesTheDocumentedMacroAndItReplays() throws Exception {
        Path data = folder("tooth scan");
        Path scan = data.resolve("tooth.h5");
        Path out = data.resolve("rec");
        Files.copy(Paths.get(Job.TOOTH), scan);
        Screen.onEventThread(() -> new Recorder());

        Screen.choose("Wagiri Open Scan...");
        GenericDialog open = Screen.dialog("Wagiri Open Scan");
        Screen.set(open, "Path", scan.toString());
        Screen.set(open, "Show", "sinograms");
        Screen.set(open, "Last", "1");
        Screen.set(open, "Normalize", "true");
        Screen.screenshot("open-scan-dialog");
        Screen.press(open, 0);
        Screen.awaitEnd("Wagiri Open Scan...");
        ImagePlus sinograms = WindowManager.getCurrentImage();
        assertEquals(2, sinograms.getStackSize());
        assertTrue(sinograms.getStack().isVirtual());
        assertEquals("row 1", sinograms.getStack().getSliceLabel(2));

        Screen.choose("Wagiri Reconstruct...");
        GenericDialog reconstruct = Screen.dialog("Wagiri Reconstruct");
        Screen.set(reconstruct, "Output", out.toString());
        Screen.set(reconstruct, "Center", "296");
        Screen.set(reconstruct, "Ring kernel", "7");
        Screen.set(reconstruct, "Pixel um", "1.3");
        Screen.screenshot("reconstruct-dialog");
        Screen.press(reconstruct, 0);
        Screen.awaitEnd("Wagiri Reconstruct...");
        ImagePlus slices = WindowManager.getCurrentImage();
        assertEquals(2, slices.getStackSize());
        assertEquals(32, slices.getBitDepth());
        assertTrue(slices.getStack().isVirtual());
        assertEquals("rec00001.tif", slices.getStack().getSliceLabel(2));
        assertEquals("\u00b5m", slices.getCalibration().getUnit());
        assertEquals(1.3, slices.getCalibration().pixelWidth, 0);
        assertEquals(1.3, slices.getCalibration().pixelHeight, 0);
        assertEquals(1.3, slices.getCalibration().pixelDepth, 0);
        assertEquals("296", slices.getProp("wagiri.center"));
        assertTrue(slices.getInfoProperty().contains("ring_kernel=7"));
        assertFalse(slices.getProcessor().isColorLut());
        assertTrue(slices.getDisplayRangeMin() < slices.getDisplayRangeMax());
        Screen.screenshot("reconstructed");

        String recorded = Recorder.getInstance().getText();
        assertEquals(Job.macro("recorded.ijm"), recorded.replace(data.toString(), "/data/tooth scan"));

        // A slice that was deleted is told, and the window lives on.
        Files.delete(out.resolve("rec00001.tif"));
        slices.setSlice(2);
        assertTrue(Float.isNaN(slices.getProcessor().getPixelValue(5, 5)));
        assertTrue(IJ.getLog(), IJ.getLog().contains("rec00001.tif; was it moved or deleted?"));

        closeImages();
        Path again = data.resolve("again");
        IJ.runMacro(recorded.replace("/rec]", "/again]"));
        Job.runInJava(
                Job.TOOTH, "normalise | ring.sort kernel_px=7 | recon.fbp center_px=296 pixel_um=1.3", data.resolve("java"));
        Job.assertSameFiles(data.resolve("java"), again);
        Path terminal = data.resolve("terminal");
        Job.runInTerminal(Job.TOOTH, terminal, "--rings", "7", "--center", "296", "--pixel-um", "1.3");
        Job.assertSameFiles(terminal, again);

        // Stock ImageJ opens a slice by itself with its size in µm.
        ImagePlus opened = IJ.openImage(again.resolve("rec00001.tif").toString());
        assertEquals("\u00b5m", opened.getCalibration().getUnit());
        assertEquals(1.3, opened.getCalibration().pixelWidth, 1e-9);
        assertEquals(1.3, opened.getCalibration().pixelHeight, 1e-9);
        assertEquals(2, WindowManager.getImageCount());
    }

    @Test
    public void chainsAndStagesAreRecordedAndReplay() throws Exception {
        Path data = folder("chain scan");
        Path scan = data.resolve("tooth.h5");
        Files.copy(Paths.get(Job.TOOTH), scan);
        Screen.onEventThread(() -> new Recorder());

        Screen.choose("Wagiri Run Chain...");
        GenericDialog chain = Screen.dialog("Wagiri Run Chain");
        Screen.set(chain, "Chain", "raw | normalise | ring.sort | recon.fbp center_px=296 pixel_um=1.3");
        Screen.set(chain, "Input", scan.toString());
        Screen.set(chain, "Output", data.resolve("rec").toString());
        Screen.set(chain, "Set", "recon.fbp.filter=ramp;ring.sort.kernel_px=7");
        Screen.screenshot("run-chain-dialog");
        Screen.press(chain, 0);
        Screen.awaitEnd("Wagiri Run Chain...");
        ImagePlus slices = WindowManager.getCurrentImage();
        assertEquals(2, slices.getStackSize());
        assertTrue(slices.getStack().isVirtual());
        assertEquals(1.3, slices.getCalibration().pixelDepth, 0);
        assertEquals("296", slices.getProp("wagiri.center"));

        Screen.choose("Wagiri Stage...");
        GenericDialog chooser = Screen.dialog("Wagiri Stage");
        Screen.set(chooser, "Stage", "filter.median");
        Screen.screenshot("stage-chooser");
        Screen.press(chooser, 0);
        Screen.await("the end of the first dialog", () -> !chooser.isShowing());
        GenericDialog stage = Screen.dialog("Wagiri Stage");
        Screen.set(stage, "Size px", "5");
        Screen.screenshot("stage-dialog");
        Screen.press(stage, 0);
        Screen.awaitEnd("Wagiri Stage...");
        ImagePlus median = WindowManager.getCurrentImage();
        assertEquals("rec filter.median", median.getTitle());
        assertEquals(2, median.getStackSize());
        assertEquals(32, median.getBitDepth());
        assertFalse(median.getStack().isVirtual());
        assertEquals("rec00001.tif", median.getStack().getSliceLabel(2));
        assertEquals(1.3, median.getCalibration().pixelDepth, 0);
        assertTrue(median.getInfoProperty().contains("size_px=5"));
        Screen.screenshot("stage-result");
        String recorded = Recorder.getInstance().getText();
        assertEquals(Job.macro("recorded_chain.ijm"), recorded.replace(data.toString(), "/data/tooth scan"));

        // Closing an image empties its stack.
        Object[] first = {median.getStack().getPixels(1), median.getStack().getPixels(2)};
        closeImages();
        IJ.runMacro(recorded.replace("/rec]", "/again]"));
        ImagePlus again = WindowManager.getCurrentImage();
        Job.runInTerminal(
                Job.TOOTH,
                data.resolve("terminal"),
                "--chain",
                "normalise | ring.sort kernel_px=7 | recon.fbp center_px=296 pixel_um=1.3 filter=ramp | filter.median size_px=5");
        for (int n = 1; n <= 2; n++) {
            String file = data.resolve("terminal").resolve("rec0000" + (n - 1) + ".tif").toString();
            float[] wanted = (float[]) IJ.openImage(file).getProcessor().getPixels();
            assertArrayEquals(wanted, (float[]) again.getStack().getPixels(n), 0);
            assertArrayEquals(wanted, (float[]) first[n - 1], 0);
        }
    }

    @Test
    public void stagesOfAPluginHaveADialogToo() throws Exception {
        IJ.createImage("ramp", "16-bit ramp", 32, 24, 3).show();
        float before = WindowManager.getCurrentImage().getStack().getProcessor(2).getPixelValue(20, 3);
        Screen.choose("Wagiri Stage...");
        GenericDialog first = Screen.dialog("Wagiri Stage");
        Screen.set(first, "Plugin", Job.plugin());
        Screen.press(first, 0);
        Screen.await("the end of the first dialog", () -> !first.isShowing());
        GenericDialog second = Screen.dialog("Wagiri Stage");
        Screen.set(second, "Stage", "example.gain");
        Screen.press(second, 0);
        Screen.await("the end of the second dialog", () -> !second.isShowing());
        GenericDialog third = Screen.dialog("Wagiri Stage");
        Screen.set(third, "Factor", "2");
        Screen.screenshot("plugin-stage-dialog");
        Screen.press(third, 0);
        Screen.awaitEnd("Wagiri Stage...");
        ImagePlus twice = WindowManager.getCurrentImage();
        assertEquals("ramp example.gain", twice.getTitle());
        assertEquals(3, twice.getStackSize());
        assertEquals(2 * before, twice.getStack().getProcessor(2).getPixelValue(20, 3), 0);
    }

    @Test
    public void escapeStopsAStageAndNothingIsMade() throws Exception {
        IJ.createImage("large", "32-bit ramp", 400, 400, 100).show();
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread command =
                new Thread(() -> {
                    try {
                        IJ.run("Wagiri Stage...", "stage=filter.median size_px=41 depth_px=3");
                    } catch (Throwable e) {
                        ended.set(e);
                    }
                });
        command.start();
        Screen.await("the start", () -> !command.isAlive() || IJ.getLog() != null && IJ.getLog().contains("filter.median"));
        Thread.sleep(500);
        assertTrue("the stage ended too early: " + IJ.getLog(), command.isAlive());
        Screen.pressEscape(imageJ);
        command.join(60_000);
        assertFalse(command.isAlive());
        assertEquals(1, WindowManager.getImageCount());
        assertTrue(IJ.getLog(), IJ.getLog().contains("wagiri: stopped on Escape; the stack is as it was"));
        assertEquals(String.valueOf(ij.Macro.MACRO_CANCELED), String.valueOf(ended.get().getMessage()));
    }

    /** A scan that takes a single thread a few seconds, so that there is something to stop. */
    private static Path longScan() throws Exception {
        Path scan = folder("long");
        if (scan.toFile().list().length == LONG_VIEWS) {
            return scan;
        }
        for (int i = 0; i < LONG_VIEWS; i++) {
            save(scan.resolve(String.format(Locale.ROOT, "p%04d.tif", i)), 3000 + 10 * (i % 7));
        }
        save(FOLDER.getRoot().toPath().resolve("dark.tif"), 100);
        save(FOLDER.getRoot().toPath().resolve("flat.tif"), 9000);
        return scan;
    }

    private static final int LONG_VIEWS = 180;
    private static final int LONG_ROWS = 240;
    private static final int LONG_COLS = 400;

    private static void save(Path file, int value) {
        ShortProcessor processor = new ShortProcessor(LONG_COLS, LONG_ROWS);
        for (int i = 0; i < processor.getPixelCount(); i++) {
            processor.set(i, value + i % 13);
        }
        assertTrue(new FileSaver(new ImagePlus("", processor)).saveAsTiff(file.toString()));
    }

    @Test
    public void escapeKeepsFinishedSlicesAndTheWindowStaysAlive() throws Exception {
        Path out = FOLDER.getRoot().toPath().resolve("stopped");
        stopOnEscape("Wagiri Reconstruct...", reconstruct(out, ""), out);
    }

    @Test
    public void escapeStopsAChainAndResumeContinuesIt() throws Exception {
        Path out = FOLDER.getRoot().toPath().resolve("stopped chain");
        String root = FOLDER.getRoot().getPath();
        String options =
                "chain=[raw | normalise | ring.sort | recon.fbp center_px=199.5 pad=off] input=[" + longScan() + "] output=["
                        + out + "] set=[raw.dark=" + root + "/dark.tif; raw.flat=" + root + "/flat.tif; raw.angles=180]"
                        + " threads=1";
        stopOnEscape("Wagiri Run Chain...", options, out);
        IJ.run("Wagiri Run Chain...", options + " resume open");
        assertEquals(LONG_ROWS, WindowManager.getCurrentImage().getStackSize());
    }

    /** The range of the volume is known at its end only: until then there are 32-bit slices. */
    @Test
    public void escapeKeeps32BitSlicesWhereTheRangeIsNotKnownYet() throws Exception {
        Path out = FOLDER.getRoot().toPath().resolve("stopped16");
        stopOnEscape("Wagiri Reconstruct...", reconstruct(out, " type=16-bit"), out.resolve("float32"));
    }

    private static String reconstruct(Path output, String more) throws Exception {
        String root = FOLDER.getRoot().getPath();
        return "path=[" + longScan() + "] dark=[" + root + "/dark.tif] flat=[" + root + "/flat.tif] angles=180"
                        + " output=[" + output + "] center=199.5 pad=off threads=1" + more;
    }

    private static void stopOnEscape(String name, String options, Path out) throws Exception {
        // With memory for little more than one slice, slices come out a few at a time: what they need is in the sentence
        // that refuses less.
        IJ.redirectErrorMessages();
        run(name, options + " memory_gb=0.000001");
        double needed = Double.parseDouble(IJ.getLog().replaceAll("(?s).*needed = (\\d+) kB.*", "$1")) / 1e6;
        IJ.log("\\Clear");
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread command =
                new Thread(() -> {
                    try {
                        IJ.run(name, options + " memory_gb=" + 1.2 * needed + " open");
                    } catch (Throwable e) {
                        ended.set(e);
                    }
                });
        command.start();
        Screen.await("the first slices", () -> !command.isAlive() || files(out) >= 2);
        assertTrue("the run ended too early: " + IJ.getLog(), command.isAlive());
        // A frozen window would answer only when the run is over.
        for (int i = 0; i < 15; i++) {
            Screen.onEventThread(() -> null);
            assertTrue("the event thread answered " + i + " times during the run", command.isAlive());
        }
        assertTrue("the window answers while slices come out", files(out) < LONG_ROWS);
        Screen.screenshot("running");
        Screen.pressEscape(imageJ);
        int atEscape = files(out);
        command.join(60_000);
        assertFalse(command.isAlive());

        int kept = files(out);
        assertTrue(kept + " slices kept", kept >= 2 && kept < LONG_ROWS);
        System.out.println("Escape at " + atEscape + " slices, kept " + kept);
        String log = IJ.getLog();
        assertTrue(log, log.contains("wagiri: stopped on Escape: " + kept + " of " + LONG_ROWS + " slices are finished and kept in " + out));
        ImagePlus shown = WindowManager.getCurrentImage();
        assertNotNull(shown);
        assertEquals(kept, shown.getStackSize());
        for (int n = 1; n <= kept; n++) {
            assertEquals(LONG_COLS, shown.getStack().getProcessor(n).getWidth());
        }
        // A script that called the command stops too.
        assertEquals(String.valueOf(ij.Macro.MACRO_CANCELED), String.valueOf(ended.get().getMessage()));
    }

    /** Runs the command and ignores that a failed one ends its script. */
    private static void run(String name, String options) {
        try {
            IJ.run(name, options);
        } catch (RuntimeException e) {
            assertEquals(ij.Macro.MACRO_CANCELED, e.getMessage());
        }
    }

    private static int files(Path folder) {
        String[] names = folder.toFile().list((dir, name) -> name.matches("rec\\d{5}\\.tif"));
        return names == null ? 0 : names.length;
    }

    @Test
    public void aMistakeInTheDialogIsToldAndTheDialogComesBackAsItWas() throws Exception {
        Screen.choose("Wagiri Reconstruct...");
        GenericDialog first = Screen.dialog("Wagiri Reconstruct");
        Screen.set(first, "Center", "middle");
        Screen.set(first, "Path", "/some/where");
        Screen.press(first, 0);
        Screen.await("the error", () -> message("Wagiri Reconstruct...") != null);
        assertEquals("center: expected a number or auto (value = 'middle')", IJ.getErrorMessage());
        Screen.dismiss(message("Wagiri Reconstruct..."));
        Screen.await("the end of the first dialog", () -> !first.isShowing());
        GenericDialog second = Screen.dialog("Wagiri Reconstruct");
        assertEquals("/some/where", ((java.awt.TextField) second.getStringFields().get(0)).getText());
        Screen.press(second, 1);
        Screen.awaitEnd("Wagiri Reconstruct...");
    }

    @Test
    public void aMistakeInAMacroIsShownAndEndsTheMacro() throws Exception {
        Path after = FOLDER.getRoot().toPath().resolve("after.txt");
        String macro = "run('Wagiri Reconstruct...', 'outptu=x'); File.saveString('reached', '" + after + "');";
        Thread running = new Thread(() -> IJ.runMacro(macro));
        running.start();
        GenericDialog error = Screen.dialog("Macro Error");
        Screen.screenshot("macro-error");
        Screen.press(error, 0);
        running.join(60_000);
        assertFalse(running.isAlive());
        assertFalse(Files.exists(after));
    }

    private static Window message(String title) {
        for (Window window : Window.getWindows()) {
            if (window instanceof MessageDialog
                    && window.isShowing()
                    && ((MessageDialog) window).getTitle().equals(title)) {
                return window;
            }
        }
        return null;
    }
}
