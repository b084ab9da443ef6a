package org.wagiri.fiji;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.gui.GenericDialog;
import ij.gui.PlotWindow;
import ij.plugin.frame.Recorder;
import java.awt.Button;
import java.awt.Component;
import java.awt.Container;
import java.awt.Frame;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.Before;
import org.junit.BeforeClass;
import org.junit.ClassRule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Training and using a denoiser in a real window of stock ImageJ, out of the finished jar. Needs a screen. */
public class DenoiseIT {
    @ClassRule public static final TemporaryFolder FOLDER = new TemporaryFolder();

    /** A network that is trained in seconds, and a training that is not. */
    private static final String TINY = " center=296 pixel_um=1.3 neighbours=1 width=8 depth=1 slices=8 patch=32";
    private static final String LONG = " epochs=2000";

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

    private static Frame frame(String title) {
        for (Frame frame : Frame.getFrames()) {
            if (frame.isShowing() && frame.getTitle().startsWith(title)) {
                return frame;
            }
        }
        return null;
    }

    @Test
    public void trainingAndUseAreRecordedAndReplay() throws Exception {
        Path data = folder("tooth scan");
        Path scan = data.resolve("tooth.h5");
        Files.copy(Paths.get(Job.TOOTH), scan);
        Screen.onEventThread(() -> new Recorder());

        Screen.choose("Wagiri Train Denoiser...");
        GenericDialog train = Screen.dialog("Wagiri Train Denoiser");
        Screen.set(train, "Path", scan.toString());
        Screen.set(train, "Work", data.resolve("n2i").toString());
        Screen.set(train, "Center", "296");
        Screen.set(train, "Pixel um", "1.3");
        Screen.set(train, "Neighbours", "1");
        Screen.set(train, "Width", "8");
        Screen.set(train, "Depth", "1");
        Screen.set(train, "Epochs", "3");
        Screen.set(train, "Slices", "8");
        Screen.set(train, "Patch", "32");
        Screen.screenshot("train-dialog");
        Screen.press(train, 0);
        Screen.awaitEnd("Wagiri Train Denoiser...");
        String log = IJ.getLog();
        for (int epoch = 1; epoch <= 3; epoch++) {
            assertTrue(log, log.contains("wagiri: epoch " + epoch + " of 3: training loss "));
        }
        assertTrue(log, log.contains("wagiri: trained 3 epochs on "));
        assertTrue(log, log.contains("the losses are in "));
        assertTrue(Files.isRegularFile(data.resolve("n2i").resolve("model.safetensors")));
        assertNull("the window with the button closes", frame("Wagiri training"));
        Frame plot = frame("Wagiri loss");
        assertTrue(String.valueOf(plot), plot instanceof PlotWindow);
        ImagePlus sample = WindowManager.getImage("Wagiri sample: noisy | denoised");
        assertNotNull(sample);
        assertTrue(sample.getWidth() > 2 * sample.getHeight());
        assertTrue(sample.getDisplayRangeMin() < sample.getDisplayRangeMax());
        Screen.screenshot("trained");

        Screen.choose("Wagiri Apply Denoiser...");
        GenericDialog apply = Screen.dialog("Wagiri Apply Denoiser");
        Screen.set(apply, "Path", scan.toString());
        Screen.set(apply, "Model", data.resolve("n2i").resolve("model.safetensors").toString());
        Screen.set(apply, "Output", data.resolve("clean").toString());
        Screen.screenshot("apply-dialog");
        Screen.press(apply, 0);
        Screen.awaitEnd("Wagiri Apply Denoiser...");
        ImagePlus clean = WindowManager.getCurrentImage();
        assertEquals(2, clean.getStackSize());
        assertTrue(clean.getStack().isVirtual());
        assertEquals(640, clean.getWidth());
        assertEquals(1.3, clean.getCalibration().pixelDepth, 0);
        assertEquals("296", clean.getProp("wagiri.center"));
        assertTrue(clean.getProp("wagiri.model").endsWith("model.safetensors"));
        Screen.screenshot("denoised");
        String recorded = Recorder.getInstance().getText();
        assertEquals(Job.macro("recorded_denoise.ijm"), recorded.replace(data.toString(), "/data/tooth scan"));

        // The same seed gives the same model, so the same bytes.
        closeImages();
        IJ.runMacro(recorded.replace("/n2i", "/again").replace("/clean]", "/clean again]"));
        Job.assertSameFiles(data.resolve("clean"), data.resolve("clean again"));
    }

    private static void assertNull(String message, Object object) {
        assertEquals(message, null, object);
    }

    @Test
    public void theButtonStopsAndSavesAndResumeGoesOn() throws Exception {
        Path work = FOLDER.getRoot().toPath().resolve("button");
        String options = "path=" + Job.TOOTH + " work=[" + work + "] plot" + TINY;
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread command = start(options + LONG, ended);
        Screen.await(
                "plot and sample",
                () -> !command.isAlive() || frame("Wagiri loss") != null && frame("Wagiri sample") != null);
        // A frozen window would answer only when the training is over.
        for (int i = 0; i < 15; i++) {
            Screen.onEventThread(() -> null);
            assertTrue("the event thread answered " + i + " times during the training", command.isAlive());
        }
        Screen.screenshot("training");
        Screen.press(button(frame("Wagiri training")));
        command.join(60_000);
        assertFalse(command.isAlive());
        assertEquals("a macro goes on", null, ended.get());
        String log = IJ.getLog();
        assertTrue(log, log.contains("wagiri: stopped and saved: trained "));
        assertTrue(Files.isRegularFile(work.resolve("model.safetensors")));
        int epochs = Integer.parseInt(log.replaceAll("(?s).*saved: trained (\\d+) epochs.*", "$1"));
        assertTrue(log, epochs >= 1);

        // No scan: the work folder is enough.
        IJ.log("\\Clear");
        String more = " epochs=" + (epochs + 2) + " resume";
        IJ.run("Wagiri Train Denoiser...", "work=[" + work + "]" + TINY + more);
        log = IJ.getLog();
        assertTrue(log, log.contains("wagiri: trained " + (epochs + 2) + " epochs on "));
        assertTrue(log, log.contains("epoch " + (epochs + 2) + " of " + (epochs + 2)));
        assertFalse(log, log.contains("epoch " + epochs + " of "));
    }

    @Test
    public void escapeSavesTooAndEndsTheMacro() throws Exception {
        Path work = FOLDER.getRoot().toPath().resolve("escape");
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread command = start("path=" + Job.TOOTH + " work=[" + work + "]" + TINY + LONG, ended);
        Screen.await("an epoch", () -> !command.isAlive() || IJ.getLog() != null && IJ.getLog().contains("epoch 1 of"));
        assertTrue("the training ended too early: " + IJ.getLog(), command.isAlive());
        assertNull("no plot without plot", frame("Wagiri loss"));
        Screen.pressEscape(imageJ);
        command.join(60_000);
        assertFalse(command.isAlive());
        assertTrue(IJ.getLog(), IJ.getLog().contains("wagiri: stopped and saved: trained "));
        assertTrue(Files.isRegularFile(work.resolve("model.safetensors")));
        assertEquals(String.valueOf(ij.Macro.MACRO_CANCELED), String.valueOf(ended.get().getMessage()));
    }

    private static Thread start(String options, AtomicReference<Throwable> ended) {
        Thread command =
                new Thread(() -> {
                    try {
                        IJ.run("Wagiri Train Denoiser...", options);
                    } catch (Throwable e) {
                        ended.set(e);
                    }
                });
        command.start();
        return command;
    }

    private static Button button(Container container) {
        for (Component component : container.getComponents()) {
            if (component instanceof Button) {
                return (Button) component;
            }
        }
        throw new AssertionError("no button");
    }
}
