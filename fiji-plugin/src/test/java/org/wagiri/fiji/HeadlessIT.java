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
            {"Wagiri Open Scan...", "path=/nowhere/at/all virtual", "no such file"},
            {"Wagiri Open Scan...", "path=" + Job.TOOTH + " step=0", "step: expected a whole number of at least 1"},
        };
        for (String[] mistake : cases) {
            String log = run("while (nImages > 0) close(); run('" + mistake[0] + "', '" + mistake[1] + "');" + then, "");
            assertTrue(mistake[1] + ": " + log, log.contains(mistake[0] + ": "));
            assertTrue(mistake[1] + ": " + log, log.contains(mistake[2]));
            assertFalse(mistake[1], Files.exists(after));
        }
        run(then, "");
        assertTrue("the next macro runs again", Files.exists(after));
    }
}
