package org.wagiri.fiji;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import ij.ImagePlus;
import ij.ImageStack;
import ij.io.FileSaver;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import java.io.File;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class DenoiserTest {
    private static final int WIDTH = 100;
    private static final int HEIGHT = 60;

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static Values train(String options) {
        return TrainDenoiser.SPEC.parse(options, name -> null);
    }

    /** Pixels of the first page are 10 (x + y), of the others x + y. */
    private File sample(int pages) {
        ImageStack stack = new ImageStack(WIDTH, HEIGHT);
        for (int page = 0; page < pages; page++) {
            FloatProcessor processor = new FloatProcessor(WIDTH, HEIGHT);
            for (int i = 0; i < WIDTH * HEIGHT; i++) {
                processor.setf(i, (page == 0 ? 10f : 1f) * (i % WIDTH + i / WIDTH));
            }
            stack.addSlice(processor);
        }
        File file = new File(folder.getRoot(), pages + ".tif");
        ImagePlus image = new ImagePlus("", stack);
        FileSaver saver = new FileSaver(image);
        assertTrue(pages == 1 ? saver.saveAsTiff(file.getPath()) : saver.saveAsTiffStack(file.getPath()));
        return file;
    }

    @Test
    public void theSampleIsNoisyOnTheLeftAndDenoisedOnTheRightInTheRangeOfTheObject() {
        ImagePlus pages = SampleSlice.read(sample(2));
        ImageProcessor both = SampleSlice.sideBySide(pages, "both").getProcessor();
        assertEquals(2 * WIDTH + 2, both.getWidth());
        assertEquals(10 * (7 + 5), both.getf(7, 5), 0);
        assertEquals(7 + 5, both.getf(WIDTH + 2 + 7, 5), 0);
        // A ramp is its own blurred image but for its corners. The percentiles leave out a thousandth of 6000 pixels at either end,
        // which are the first three and last three sums.
        assertArrayEquals(new double[] {20, 10 * (WIDTH + HEIGHT - 4)}, SampleSlice.range(pages), 25);
        assertEquals(SampleSlice.range(pages)[1], both.getf(WIDTH, 3), 0.01);
    }

    @Test
    public void whatIsNoSampleIsNotShown() {
        assertNull(SampleSlice.read(sample(1)));
        assertNull(SampleSlice.read(new File(folder.getRoot(), "nobody.tif")));
    }

    @Test
    public void aFilledWorkFolderIsUsedUnlessAScanIsNamed() throws Exception {
        String work = folder.getRoot().getPath();
        assertFalse(TrainRunner.usesWork(train("work=[" + work + "]")));
        folder.newFolder("subset0");
        assertTrue(TrainRunner.usesWork(train("work=[" + work + "]")));
        assertFalse(TrainRunner.usesWork(train("work=[" + work + "] path=/scan")));
        assertFalse(TrainRunner.usesWork(train("")));
        String complaint = assertThrows(CommandError.class, () -> new TrainRunner(train(""))).getMessage();
        assertTrue(complaint, complaint.startsWith("work: give the folder"));
    }

    @Test
    public void theSentencesOfTheLibraryNameFields() {
        assertEquals(
                "patch: expected 8 to 32768 (value = 1)", TrainRunner.inFieldNames("patch_px: expected 8 to 32768 (value = 1)"));
        assertEquals("rate: expected", TrainRunner.inFieldNames("learning_rate: expected"));
        assertEquals("held_out: expected", TrainRunner.inFieldNames("held_out: expected"));
    }
}
