package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a run will take. */
public final class ChainPlan {
    private final int firstRow;
    private final int endRow;
    private final int slabRows;
    private final long memoryBytes;
    private final long diskBytes;
    private final int height;
    private final int width;
    private final String center;
    private final double pixelUm;
    private final List<String> remarks;
    private final double computeSeconds;
    private final int haloBelow;
    private final int haloAbove;

    ChainPlan(
            int firstRow,
            int endRow,
            int slabRows,
            long memoryBytes,
            long diskBytes,
            int height,
            int width,
            String center,
            double pixelUm,
            String[] remarks,
            double computeSeconds,
            int haloBelow,
            int haloAbove) {
        this.firstRow = firstRow;
        this.endRow = endRow;
        this.slabRows = slabRows;
        this.memoryBytes = memoryBytes;
        this.diskBytes = diskBytes;
        this.height = height;
        this.width = width;
        this.center = center;
        this.pixelUm = pixelUm;
        this.remarks = Collections.unmodifiableList(Arrays.asList(remarks));
        this.computeSeconds = computeSeconds;
        this.haloBelow = haloBelow;
        this.haloAbove = haloAbove;
    }

    /** First detector row. */
    public int firstRow() {
        return firstRow;
    }

    /** One past the last detector row. */
    public int endRow() {
        return endRow;
    }

    /** Rows that are worked on at a time. */
    public int slabRows() {
        return slabRows;
    }

    /** Peak memory outside the Java heap, bytes. */
    public long memoryBytes() {
        return memoryBytes;
    }

    /** Bytes that will be written. */
    public long diskBytes() {
        return diskBytes;
    }

    /** Height of a slice, px. */
    public int height() {
        return height;
    }

    /** Width of a slice, px. */
    public int width() {
        return width;
    }

    /** Rotation axis that will be used, as a chain takes it. */
    public String center() {
        return center;
    }

    /** Pixel size that will be used, micrometres. */
    public double pixelUm() {
        return pixelUm;
    }

    /** What a user should know beforehand. */
    public List<String> remarks() {
        return remarks;
    }

    /** Computing alone, seconds, as a guess for a usual machine. */
    public double computeSeconds() {
        return computeSeconds;
    }

    /** Rows of the data before those of a slab that the stages look at, all together. */
    public int haloBelow() {
        return haloBelow;
    }

    /** Rows behind them. */
    public int haloAbove() {
        return haloAbove;
    }
}
