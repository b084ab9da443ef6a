package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a run did. */
public final class RunSummary {
    private final int slices;
    private final int found;
    private final String center;
    private final double pixelUm;
    private final float min;
    private final float max;
    private final List<String> remarks;
    private final String chain;

    RunSummary(
            int slices,
            int found,
            String center,
            double pixelUm,
            float min,
            float max,
            String[] remarks,
            String chain) {
        this.slices = slices;
        this.found = found;
        this.center = center;
        this.pixelUm = pixelUm;
        this.chain = chain;
        this.min = min;
        this.max = max;
        this.remarks = Collections.unmodifiableList(Arrays.asList(remarks));
    }

    /** Slices of the volume, all finished now. */
    public int slices() {
        return slices;
    }

    /** How many of them an earlier run had finished. */
    public int found() {
        return found;
    }

    /** Rotation axis used, as a chain takes it. */
    public String center() {
        return center;
    }

    /** Pixel size used, micrometres. */
    public double pixelUm() {
        return pixelUm;
    }

    /** Smallest value of the volume, 1/cm. */
    public float min() {
        return min;
    }

    /** Largest value of the volume, 1/cm. */
    public float max() {
        return max;
    }

    /** Repairs and remarks, each once, with numbers. */
    public List<String> remarks() {
        return remarks;
    }

    /** The chain with every value that was found, ready to be run again. */
    public String chain() {
        return chain;
    }
}
