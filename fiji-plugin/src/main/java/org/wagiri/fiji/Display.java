package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.process.ByteProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.util.Arrays;

/** How results look: calibration and display range. */
final class Display {
    private static final double TAIL = 0.001;
    private static final int SAMPLES = 1 << 20;

    private Display() {}

    /** The same pixel size along all axes, in micrometres. */
    static void calibrate(ImagePlus image, double pixelUm) {
        ij.measure.Calibration calibration = image.getCalibration();
        calibration.setUnit("um");
        calibration.pixelWidth = pixelUm;
        calibration.pixelHeight = pixelUm;
        calibration.pixelDepth = pixelUm;
    }

    /** Grays from the 0.1 to the 99.9 percentile of the middle slice. */
    static void setRange(ImagePlus image) {
        ImageStack stack = image.getStack();
        double[] range = percentiles(stack.getProcessor((stack.getSize() + 1) / 2));
        if (range != null) {
            image.setDisplayRange(range[0], range[1]);
        }
    }

    /**
     * What a virtual stack shows where a slice cannot be read. A macro is stopped instead, so that it does not go on with
     * an empty image; an exception in the thread of the slider would end that thread for good.
     */
    static ImageProcessor unreadable(int width, int height, int bitDepth, RuntimeException reason) {
        if (IJ.isMacro()) {
            throw reason;
        }
        IJ.log("wagiri: " + reason.getMessage());
        IJ.showStatus("!" + reason.getMessage());
        if (bitDepth == 32) {
            float[] pixels = new float[width * height];
            Arrays.fill(pixels, Float.NaN);
            return new FloatProcessor(width, height, pixels);
        }
        return bitDepth == 16 ? new ShortProcessor(width, height) : new ByteProcessor(width, height);
    }

    /** The two percentiles, or null if the image has no two different finite values. */
    static double[] percentiles(ImageProcessor processor) {
        FloatProcessor floats = processor.convertToFloatProcessor();
        float[] pixels = (float[]) floats.getPixels();
        int step = Math.max(1, pixels.length / SAMPLES);
        float[] sample = new float[(pixels.length + step - 1) / step];
        int count = 0;
        for (int i = 0; i < pixels.length; i += step) {
            if (!Float.isNaN(pixels[i]) && !Float.isInfinite(pixels[i])) {
                sample[count++] = pixels[i];
            }
        }
        if (count == 0) {
            return null;
        }
        Arrays.sort(sample, 0, count);
        double low = sample[(int) Math.floor(TAIL * (count - 1))];
        double high = sample[(int) Math.ceil((1 - TAIL) * (count - 1))];
        return low < high ? new double[] {low, high} : null;
    }
}
