package org.wagiri;

import java.util.Arrays;

/** The scan of a homogeneous disc whose attenuation is known. */
final class Disc {
    static final int COLS = 64;
    static final int ROWS = 3;
    static final int VIEWS = 90;
    static final double MU_PER_CM = 2.0;
    static final double PIXEL_UM = 10;
    static final double CENTER_PX = 30.5;
    private static final double RADIUS_PX = 20;
    private static final float DARK = 100;
    private static final float I0 = 20000;

    private Disc() {}

    static Geometry geometry() {
        return Geometry.halfTurn(VIEWS, CENTER_PX, PIXEL_UM);
    }

    static Scan scan() {
        return scan(-1);
    }

    /** The scan with the shutter closed in the view {@code black}. */
    static Scan scan(int black) {
        float[] row = projection();
        float[] views = new float[VIEWS * ROWS * COLS];
        for (int i = 0; i < views.length; i++) {
            boolean lit = i / (ROWS * COLS) != black;
            views[i] = lit ? (float) (DARK + (I0 - DARK) * Math.exp(-row[i % COLS])) : DARK;
        }
        return Scan.fromArrays(views, filled(2 * ROWS * COLS, I0), filled(ROWS * COLS, DARK), COLS, geometry());
    }

    /** Absorbance of one view of the disc, which looks the same from everywhere. */
    static float[] projection() {
        float[] row = new float[COLS];
        for (int x = 0; x < COLS; x++) {
            double square = RADIUS_PX * RADIUS_PX - (x - CENTER_PX) * (x - CENTER_PX);
            row[x] = (float) (MU_PER_CM * 2 * Math.sqrt(Math.max(0, square)) * PIXEL_UM * 1e-4);
        }
        return row;
    }

    static float[] sinogram() {
        float[] sinogram = new float[VIEWS * COLS];
        for (int i = 0; i < VIEWS; i++) {
            System.arraycopy(projection(), 0, sinogram, i * COLS, COLS);
        }
        return sinogram;
    }

    /** Mean over the inner half of the disc, which is in the middle of the slice: the axis is where x = y = 0. */
    static double meanInside(float[] slice) {
        double sum = 0;
        int count = 0;
        for (int y = 0; y < COLS; y++) {
            for (int x = 0; x < COLS; x++) {
                double dx = x - (COLS - 1) / 2.0;
                double dy = y - (COLS - 1) / 2.0;
                if (dx * dx + dy * dy < RADIUS_PX * RADIUS_PX / 4) {
                    sum += slice[y * COLS + x];
                    count++;
                }
            }
        }
        return sum / count;
    }

    private static float[] filled(int length, float value) {
        float[] values = new float[length];
        Arrays.fill(values, value);
        return values;
    }
}
