package org.wagiri;

/** What a work folder of {@link N2i} holds: noisy volumes of one object, one for each subset of the views. */
public final class WorkInfo {
    private final int subsets;
    private final int slices;
    private final int height;
    private final int width;

    WorkInfo(int subsets, int slices, int height, int width) {
        this.subsets = subsets;
        this.slices = slices;
        this.height = height;
        this.width = width;
    }

    /** Number of volumes. */
    public int subsets() {
        return subsets;
    }

    /** Slices of each. */
    public int slices() {
        return slices;
    }

    /** Rows of a slice. */
    public int height() {
        return height;
    }

    /** Columns of a slice. */
    public int width() {
        return width;
    }
}
