package org.wagiri.fiji;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertNull;

import ij.process.FloatProcessor;
import org.junit.Test;

public class DisplayTest {
    @Test
    public void rangeLeavesOutOutliersAndWhatIsNotANumber() {
        float[] pixels = new float[100 * 101];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = i;
        }
        pixels[5000] = Float.NaN;
        pixels[5001] = Float.POSITIVE_INFINITY;
        pixels[5002] = 1e30f;
        // 10098 finite values; 0.1 percent of them are ten at either end. Tolerance: the three replaced values.
        assertArrayEquals(new double[] {10, 10089}, Display.percentiles(new FloatProcessor(100, 101, pixels)), 3);
    }

    @Test
    public void aFlatImageHasNoRange() {
        assertNull(Display.percentiles(new FloatProcessor(10, 10, new float[100])));
    }
}
