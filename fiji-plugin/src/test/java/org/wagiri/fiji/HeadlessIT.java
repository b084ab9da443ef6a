package org.wagiri.fiji;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import net.imagej.patcher.LegacyEnvironment;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The macros of the manual in ImageJ as Fiji patches it for {@code --headless}, with the finished jar. */
public class HeadlessIT {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static LegacyEnvironment imageJ;

    @BeforeClass
    public static void start() throws Exception {
        System.setProperty("java.awt.headless", "true");
        imageJ = new LegacyEnvironment(null, true);
        imageJ.disableInitializer();
        imageJ.disableIJ1PluginDirs();
        imageJ.addPluginClasspath(Job.jar());
    }

    /** Runs a macro and returns what ImageJ logged, which without a window is the standard output. */
    private static String run(String macro, String arg) throws Exception {
        PrintStream before = System.out;
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setOut(new PrintStream(log, true, "UTF-8"));
        try {
            imageJ.runMacro(macro, arg);
        } finally {
            System.setOut(before);
        }
        return log.toString("UTF-8");
    }

    private Path out(String name) {
        return folder.getRoot().toPath().resolve(name);
    }

    @Test
    public void theMacroGivesTheFilesOfTheJavaClassesAndOfTheCommandLine() throws Exception {
        Path out = out("出力 one");
        String log = run(Job.macro("reconstruct.ijm"), Job.TOOTH + "," + out);
        assertEquals(log, "[rec00000.tif, rec00001.tif]", Job.list(out));
        assertTrue(log, log.contains(", 2 slices"));
        assertTrue(log, log.contains("wagiri: reconstructed 2 slices into "));
        assertTrue(log, log.contains("run(\"Wagiri Reconstruct...\", \"path=" + Job.TOOTH));
        double center = Double.parseDouble(log.replaceAll("(?s).*center (\\S+) px, 2 slices.*", "$1"));
        // The axis of this scan is near column 296; a search that went wrong is many pixels off.
        assertEquals(296, center, 2);
        Job.runInJava(Job.TOOTH, "normalise | ring.sort | recon.fbp", out("java"));
        Job.assertSameFiles(out("java"), out);
        Job.runInTerminal(Job.TOOTH, out("terminal"));
        Job.assertSameFiles(out("terminal"), out);
    }

    @Test
    public void aStackThatWasOpenedCanBeReconstructed() throws Exception {
        Path out = out("sixteen");
        String log = run(Job.macro("look_then_reconstruct.ijm"), Job.TOOTH + "," + out);
        assertTrue(log, log.contains("2 sinograms of 640 x 181 from " + Job.TOOTH));
        assertEquals("[rh00000.tif, rh00001.tif]", Job.list(out));
        Job.runInJava(
                Job.TOOTH,
                "normalise | ring.sort | recon.fbp pixel_um=1.3 | write.tiff type=u16 min=0 max=20",
                out("java"));
        Job.assertSameFiles(out("java"), out);
    }

    private static final String CHAIN =
            "raw | normalise | ring.sort kernel_px=7 | recon.fbp center_px=296 pixel_um=1.3 | example.gain factor=0.5"
                    + " | filter.median size_px=3 | write.tiff type=u16";

    @Test
    public void aChainWithAPluginGivesTheFilesOfTheJavaClassesAndOfTheCommandLine() throws Exception {
        String plugin = Job.plugin();
        Path file = out("chain 鎖.toml");
        StringBuilder toml = new StringBuilder();
        for (String stage : CHAIN.split(" \\| ")) {
            String[] words = stage.split(" ");
            toml.append("[[stage]]\nid = \"").append(words[0]).append("\"\n");
            for (int i = 1; i < words.length; i++) {
                // The macro sets this one.
                String value = words[i].replace("kernel_px=7", "kernel_px=3");
                toml.append(value.replaceFirst("=(.*)", " = \"$1\"")).append("\n");
            }
        }
        Files.write(file, toml.toString().getBytes("UTF-8"));
        String log = run(Job.macro("run_chain.ijm"), file + "," + Job.TOOTH + "," + out("macro") + "," + plugin);
        assertTrue(log, log.contains("wagiri: slices 2 of 640 x 640 pixels"));
        assertTrue(log, log.contains("wagiri: memory ") && log.contains("wagiri: computing about "));
        assertTrue(log, log.contains("dry run: nothing was written\nnothing yet"));
        assertTrue(log, log.contains("2 slices in " + out("macro")));
        assertEquals("[rh00000.tif, rh00001.tif]", Job.list(out("macro")));
        Job.runInJava(Job.TOOTH, CHAIN, out("java"), plugin);
        Job.assertSameFiles(out("java"), out("macro"));
        Job.runInTerminal(Job.TOOTH, out("terminal"), "--chain", CHAIN, "--plugin", plugin);
        Job.assertSameFiles(out("terminal"), out("macro"));

        // The same in a line, continued: everything is there already.
        String line = "chain=[" + CHAIN + "] input=" + Job.TOOTH + " output=[" + out("macro") + "] plugin=" + plugin;
        log = run("run('Wagiri Run Chain...', '" + line + " resume');", "");
        assertTrue(log, log.contains("wagiri: made 2 slices in "));
    }

    /** What the end of a chain makes of a stack is what the whole chain makes, to the bit. */
    @Test
    public void stagesOnTheActiveStackGiveWhatTheWholeChainGives() throws Exception {
        String scan = "path=" + Job.TOOTH + " show=sinograms normalize virtual";
        String chain = "normalise | ring.sort | recon.fbp center_px=296 | filter.median size_px=3 depth_px=3";
        String macro =
                "run('Wagiri Open Scan...', '" + scan + "');"
                        + "run('Wagiri Stage...', 'stage=filter.median');"
                        + "print('not reached');";
        String log = run(macro, "");
        assertTrue(log, log.contains("Wagiri Stage...: filter.median takes the slices of a volume, but the active stack"
                + " holds sinograms in absorbance"));
        assertFalse(log, log.contains("not reached"));
        macro =
                "while (nImages > 0) close();"
                        + "run('Wagiri Open Scan...', '" + scan + "');"
                        + "run('Wagiri Stage...', 'stage=ring.sort');"
                        + "run('Wagiri Stage...', 'stage=recon.fbp center_px=296');"
                        + "run('Wagiri Run Chain...', 'chain=[volume | filter.median size_px=3 depth_px=3] output=["
                        + out("memory") + "] open');"
                        + "run('Wagiri Run Chain...', 'chain=[" + chain + "] input=" + Job.TOOTH + " output=[" + out("whole")
                        + "] open');";
        log = run(macro, "");
        assertTrue(log, log.contains("wagiri: made 2 slices of 640 x 181 with ring.sort"));
        assertTrue(log, log.contains("wagiri: made 2 slices of 640 x 640 with recon.fbp"));
        assertFalse(log, log.contains("angles unknown"));
        assertTrue(log, log.contains("wagiri: input is the active stack, tooth"));
        // The descriptions of the files differ in the axis, which a volume in memory does not know.
        log = run("setBatchMode(true); open('" + out("memory") + "/rec00001.tif'); a = getImageID();"
                + "open('" + out("whole") + "/rec00001.tif'); b = getImageID(); same = true; inside = 0;"
                + "for (y = 0; y < getHeight(); y++) for (x = 0; x < getWidth(); x++) {"
                + " selectImage(a); v = getPixel(x, y); selectImage(b); same = same && v == getPixel(x, y); inside += v != 0; }"
                + "print('same ' + same + ', inside ' + (inside > 1000));", "");
        assertTrue(log, log.contains("same 1, inside 1"));
    }

    @Test
    public void aStageMakesANewStackAndKeepsSizesLabelsAndTheInput() throws Exception {
        String log =
                run(
                        "while (nImages > 0) close(); newImage('ramp', '8-bit ramp', 32, 24, 5); a = getImageID();"
                                + "run('Properties...', 'unit=um pixel_width=1.5 pixel_height=1.5 voxel_depth=3');"
                                + "for (i = 1; i <= 5; i++) { setSlice(i); setMetadata('Label', 'L' + i); }"
                                + "run('Wagiri Stage...', 'stage=filter.median size_px=3 depth_px=1');"
                                + "getVoxelSize(w, h, d, unit); setSlice(2);"
                                + "print('median ' + bitDepth() + ' ' + nSlices + ' ' + w + ' ' + d + ' '"
                                + " + getInfo('slice.label') + ' ' + getPixel(10, 10));"
                                + "selectImage(a); run('Wagiri Stage...', 'stage=volume.bin bin=2');"
                                + "getVoxelSize(w, h, d, unit);"
                                + "print('bin ' + getWidth() + ' ' + getHeight() + ' ' + nSlices + ' ' + w + ' ' + d + ' '"
                                + " + getPixel(5, 5));"
                                + "selectImage(a); run('Wagiri Stage...', 'stage=example.gain plugin=[" + Job.plugin()
                                + "] factor=-2');"
                                + "print('gain ' + getPixel(10, 10));"
                                + "selectImage(a); print('input ' + bitDepth() + ' ' + nSlices + ' ' + getPixel(10, 10));",
                        "");
        // Columns 10 and 11 of the ramp are 80 and 88: its median is itself, the mean of a box half way to the next.
        assertTrue(log, log.contains("median 32 5 1.5 3 L2 80"));
        assertTrue(log, log.contains("bin 16 12 2 3 6 84"));
        assertTrue(log, log.contains("gain -160"));
        assertTrue(log, log.contains("input 8 5 80"));
    }

    @Test
    public void stacksThatAStageCannotTakeAreRefused() throws Exception {
        String[][] cases = {
            {"newImage('c', 'RGB', 8, 8, 2);", "but the active stack is in colour"},
            {"newImage('h', '8-bit grayscale-mode', 8, 8, 2, 2, 1);", "has several channels or frames"},
            {"run('Wagiri Open Scan...', 'path=" + Job.TOOTH + " virtual');", "but the active stack holds projections"},
        };
        for (String[] stack : cases) {
            String log = run("while (nImages > 0) close(); " + stack[0] + "run('Wagiri Stage...', 'stage=filter.median');", "");
            assertTrue(log, log.contains("Wagiri Stage...: filter.median takes the slices of a volume"));
            assertTrue(log, log.contains(stack[1]));
        }
    }

    @Test
    public void aDenoiserIsTrainedAndUsedWithALineForEveryEpoch() throws Exception {
        String options = " center=296 neighbours=1 width=8 depth=1 epochs=2 slices=8 patch=32";
        String arg = Job.TOOTH + "," + out("仕事") + "," + out("clean") + "," + options;
        String log = run(Job.macro("denoise.ijm"), arg);
        assertTrue(log, log.contains("wagiri: training on 4 volumes of 2 slices, 640 x 640 pixels"));
        assertTrue(log, log.contains("wagiri: epoch 2 of 2: training loss "));
        assertTrue(log, log.contains("2 slices made with " + out("仕事")));
        assertEquals("[rec00000.tif, rec00001.tif]", Job.list(out("clean")));
        String[] losses = Job.read(out("仕事").resolve("losses.csv")).split("\n");
        assertEquals("a line for each epoch and their names", 3, losses.length);
        // Once more: there is nothing left to train.
        log = run(Job.macro("denoise.ijm"), arg);
        assertTrue(log, log.contains("wagiri: trained 2 epochs on "));
        assertFalse(log, log.contains("epoch 2 of 2: training loss "));
        // With the same model the terminal makes the same files.
        Job.runInTerminal(
                Job.TOOTH,
                out("terminal"),
                "--chain",
                "normalise | ring.sort | recon.n2i model=" + out("仕事").resolve("model.safetensors")
                        + " center_px=296 pixel_um=1.3");
        Job.assertSameFiles(out("terminal"), out("clean"));
    }

    @Test
    public void everyScanOfAFolderIsReconstructed() throws Exception {
        Path in = Files.createDirectories(out("in"));
        for (String name : new String[] {"s180", "tif180"}) {
            File[] frames = new File(Job.data("ct-rec-100/" + name)).listFiles();
            Path scan = Files.createDirectories(in.resolve(name));
            for (File frame : frames) {
                Files.copy(frame.toPath(), scan.resolve(frame.getName()));
            }
        }
        String log = run(Job.macro("batch.ijm"), in + "," + out("out"));
        assertTrue(log, log.contains("s180 is done"));
        assertTrue(log, log.contains("tif180 is done"));
        assertTrue(Files.exists(out("out").resolve("s180").resolve("rec00000.tif")));
        assertTrue(Files.exists(out("out").resolve("tif180").resolve("rec00000.tif")));
    }

    @Test
    public void projectionsAreLabelledAndOfNoSizeWhereTheScanTellsNone() throws Exception {
        String log =
                run(
                        "run('Wagiri Open Scan...', 'path=[" + Job.data("ct-rec-100/s180") + "] first=2 last=8 step=3');"
                                + "setSlice(2); print('n=' + nSlices + ' ' + getWidth() + 'x' + getHeight() + ' '"
                                + " + getInfo('slice.label') + ' ' + bitDepth());"
                                + "getPixelSize(unit, w, h); print('cal=' + unit + ' ' + w);",
                        "");
        assertTrue(log, log.contains("n=3 "));
        assertTrue(log, log.contains("view 5, "));
        assertTrue(log, log.matches("(?s).*cal=pixels? 1\\s.*"));
    }

    @Test
    public void aMistakeIsToldAndEndsTheMacro() throws Exception {
        Path after = out("after.txt");
        String then = "File.saveString('reached', '" + after + "');";
        String[][] cases = {
            {"Wagiri Reconstruct...", "path=x outptu=y", "unknown key 'outptu'; did you mean 'output'?"},
            {"Wagiri Reconstruct...", "output=" + out("x"), "path: give a scan, or activate a stack"},
            {"Wagiri Reconstruct...", "path=" + Job.TOOTH, "output: give the folder for the slices"},
            {"Wagiri Reconstruct...", "path=" + Job.TOOTH + " output=" + out("o") + " last=2",
                "first, last: there are 2 detector rows, so 0 <= first <= last <= 1 is needed"},
            {"Wagiri Reconstruct...", "path=" + Job.TOOTH + " output=" + out("o") + " center=9999",
                "the rotation axis must lie on the detector"},
            {"Wagiri Reconstruct...", "path=" + Job.TOOTH + " output=" + out("o") + " ring_kernel=5000",
                "ring.sort: ring_kernel: expected a whole number from 0 to 1001 (value = "},
            {"Wagiri Run Chain...", "output=" + out("o"), "chain: give a file, or a line"},
            {"Wagiri Run Chain...", "chain=[" + out("none.toml") + "] output=" + out("o"), "chain: cannot read the file"},
            {"Wagiri Run Chain...", "chain=[raw | normalise | ring.sotr]", "did you mean ring.sort?"},
            {"Wagiri Run Chain...", "chain=[raw | normalise] input=" + Job.TOOTH, "output: give the folder"},
            {"Wagiri Run Chain...", "chain=[raw | normalise] output=" + out("o"), "input: the chain takes raw projections"},
            {"Wagiri Run Chain...", "chain=[volume | filter.median] output=" + out("o"),
                "input: the chain takes the slices of a volume; activate a stack"},
            {"Wagiri Run Chain...", "chain=normalise dry set=kernel_px input=" + Job.TOOTH,
                "set: expected stage.param=value, several with ; (value = kernel_px)"},
            {"Wagiri Run Chain...", "chain=normalise plugin=/no/plugin.so", "/no/plugin.so: "},
            {"Wagiri Train Denoiser...", "path=" + Job.TOOTH, "work: give the folder for the noisy volumes"},
            {"Wagiri Train Denoiser...", "work=" + out("w"), "path: give a scan, or activate a stack"},
            {"Wagiri Train Denoiser...", "path=" + Job.TOOTH + " splits=60 work=" + out("w"), "needs at least 8"},
            {"Wagiri Train Denoiser...", "path=" + Job.TOOTH + " work=" + out("w") + " center=296 width=12",
                "expected a base width that is a multiple of 8"},
            {"Wagiri Apply Denoiser...", "path=" + Job.TOOTH + " output=" + out("w"), "model: give the file"},
            {"Wagiri Apply Denoiser...", "path=" + Job.TOOTH + " model=" + Job.TOOTH, "output: give the folder"},
            {"Wagiri Apply Denoiser...", "path=" + Job.TOOTH + " output=" + out("w") + " model=" + Job.TOOTH, "tooth.h5: "},
            {"Wagiri Stage...", "size_px=3", "stage: give a stage, such as stage=filter.median"},
            {"Wagiri Stage...", "stage=filter.median", "filter.median takes the slices of a volume; activate a stack"},
            {"Wagiri Stage...", "stage=filter.medain", "did you mean filter.median?"},
            {"Wagiri Stage...", "stage=filter.median size=3", "unknown key size; did you mean size_px?"},
            {"Wagiri Stage...", "stage=filter.median size_px=999", "size_px: expected a whole number from 1 to 101 (value = 999)"},
            {"Wagiri Stage...", "stage=normalise", "stage: normalise takes raw projections"},
            {"Wagiri Stage...", "stage=write.tiff", "stage: write.tiff stands at the end of a chain"},
            {"Wagiri Open Scan...", "path=/nowhere/at/all virtual", "no such file"},
            {"Wagiri Open Scan...", "path=" + Job.TOOTH + " step=0", "step: expected a whole number of at least 1"},
        };
        for (String[] mistake : cases) {
            String log = run("while (nImages > 0) close(); run('" + mistake[0] + "', '" + mistake[1] + "');" + then, "");
            assertTrue(mistake[1] + ": " + log, log.contains(mistake[0] + ": "));
            // Quotes of the sentences are left out here, for they would end the text of the macro.
            assertTrue(mistake[1] + ": " + log, log.replace("'", "").contains(mistake[2].replace("'", "")));
            assertFalse(mistake[1], Files.exists(after));
        }
        run(then, "");
        assertTrue("the next macro runs again", Files.exists(after));
    }
}
