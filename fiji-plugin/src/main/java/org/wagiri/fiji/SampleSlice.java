package org.wagiri.fiji;

import ij.ImagePlus;
import ij.io.Opener;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import java.io.File;

/** The sample slice that a training writes: a file of two pages, noisy and denoised. */
final class SampleSlice {
    /** Part of the width that is left free between the two. */
    private static final int GAP = 50;
    private static final double BLUR_PX = 2;

    private SampleSlice() {}

    /** The two pages, or null if they cannot be read. */
    static ImagePlus read(File file) {
        Opener opener = new Opener();
        opener.setSilentMode(true);
        ImagePlus image = opener.openTiff(file.getParent() + File.separator, file.getName());
        return image == null || image.getStackSize() != 2 ? null : image;
    }

    /**
     * Of the object: that of the noisy page once its noise is blurred away, for noise would make the contrast low, and what
     * the network gives is far off at first.
     */
    static double[] range(ImagePlus pages) {
        ImageProcessor blurred = pages.getStack().getProcessor(1).convertToFloat().duplicate();
        blurred.blurGaussian(BLUR_PX);
        return Display.percentiles(blurred);
    }

    static ImagePlus sideBySide(ImagePlus pages, String title) {
        int width = pages.getWidth();
        int gap = Math.max(1, width / GAP);
        ImageProcessor both = new FloatProcessor(2 * width + gap, pages.getHeight());
        double[] range = range(pages);
        if (range != null) {
            both.setValue(range[1]);
            both.fill();
        }
        both.insert(pages.getStack().getProcessor(1), 0, 0);
        both.insert(pages.getStack().getProcessor(2), width + gap, 0);
        both.resetMinAndMax();
        return new ImagePlus(title, both);
    }
}
