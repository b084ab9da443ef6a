package org.wagiri;

/** One image: a slice of a volume, or a sinogram. */
public final class Slice {
    private final float[] pixels;
    private final int width;
    private final int height;

    Slice(float[] pixels, int width, int height) {
        this.pixels = pixels;
        this.width = width;
        this.height = height;
    }

    /** {@code height * width} values, row by row. Not a copy. */
    public float[] pixels() {
        return pixels;
    }

    /** Columns. */
    public int width() {
        return width;
    }

    /** Rows. */
    public int height() {
        return height;
    }
}
