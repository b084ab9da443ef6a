package org.wagiri;

/** A rotation axis that was found. */
public final class AxisResult {
    private final String center;
    private final double centerPx;
    private final double confidence;
    private final String method;

    AxisResult(String center, double centerPx, double confidence, String method) {
        this.center = center;
        this.centerPx = centerPx;
        this.confidence = confidence;
        this.method = method;
    }

    /** As a chain takes it: {@code 1023.5}, or {@code row:px,row:px} for a tilted axis. */
    public String center() {
        return center;
    }

    /** Column at the middle row of the detector, px; pixel centres are at integers, the first is 0. */
    public double centerPx() {
        return centerPx;
    }

    /** 0 to 1. */
    public double confidence() {
        return confidence;
    }

    /** The method that found it. */
    public String method() {
        return method;
    }
}
