package org.wagiri;

/** Receives finished slices in order of z, one at a time, on the thread that made the call. */
@FunctionalInterface
public interface SliceConsumer {
    /**
     * @param z detector row, counted from 0
     * @param pixels {@code height * width} values, row by row; the array is the consumer's to keep
     * @param width columns
     * @param height rows
     */
    void slice(int z, float[] pixels, int width, int height);
}
