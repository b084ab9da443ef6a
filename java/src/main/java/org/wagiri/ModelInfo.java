package org.wagiri;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** What is in a model file. */
public final class ModelInfo {
    private final int subsets;
    private final int channels;
    private final int baseWidth;
    private final int depth;
    private final String norm;
    private final long parameters;
    private final double mean;
    private final double spread;
    private final Map<String, String> about;

    ModelInfo(
            int subsets,
            int channels,
            int baseWidth,
            int depth,
            String norm,
            long parameters,
            double mean,
            double spread,
            String[] names,
            String[] values) {
        this.subsets = subsets;
        this.channels = channels;
        this.baseWidth = baseWidth;
        this.depth = depth;
        this.norm = norm;
        this.parameters = parameters;
        this.mean = mean;
        this.spread = spread;
        Map<String, String> map = new LinkedHashMap<>();
        for (int i = 0; i < names.length; i++) {
            map.put(names[i], values[i]);
        }
        this.about = Collections.unmodifiableMap(map);
    }

    /** Subsets of the views that it was trained for. */
    public int subsets() {
        return subsets;
    }

    /** Slices that it sees, odd. */
    public int channels() {
        return channels;
    }

    /** Channels of the network at full size. */
    public int baseWidth() {
        return baseWidth;
    }

    /** Levels below full size. */
    public int depth() {
        return depth;
    }

    /** {@code batch} or {@code none}. */
    public String norm() {
        return norm;
    }

    /** Trained numbers. */
    public long parameters() {
        return parameters;
    }

    /** Value that became 0, 1/cm. */
    public double mean() {
        return mean;
    }

    /** Difference that became 1, 1/cm. */
    public double spread() {
        return spread;
    }

    /** How it was trained: {@code chain}, {@code scan}, {@code epochs} and more, by name. */
    public Map<String, String> about() {
        return about;
    }
}
