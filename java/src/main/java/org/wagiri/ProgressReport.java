package org.wagiri;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** How far a long call is, how fast, and where its time goes. */
public final class ProgressReport {
    private final long done;
    private final long total;
    private final double fraction;
    private final double elapsedSeconds;
    private final double etaSeconds;
    private final double slicesPerSecond;
    private final Map<String, Double> seconds;

    ProgressReport(
            long done,
            long total,
            double fraction,
            double elapsedSeconds,
            double etaSeconds,
            double slicesPerSecond,
            String[] phases,
            double[] seconds) {
        this.done = done;
        this.total = total;
        this.fraction = fraction;
        this.elapsedSeconds = elapsedSeconds;
        this.etaSeconds = etaSeconds;
        this.slicesPerSecond = slicesPerSecond;
        Map<String, Double> map = new LinkedHashMap<>();
        for (int i = 0; i < phases.length; i++) {
            map.put(phases[i], seconds[i]);
        }
        this.seconds = Collections.unmodifiableMap(map);
    }

    /** Slices finished, by an earlier run too if this one continues it. */
    public long done() {
        return done;
    }

    /** Slices in all. */
    public long total() {
        return total;
    }

    /** Finished part of the work, 0 to 1; moves inside a slice too. */
    public double fraction() {
        return fraction;
    }

    /** Seconds since the call began. */
    public double elapsedSeconds() {
        return elapsedSeconds;
    }

    /** Estimated seconds left, or NaN while there is nothing to estimate from. */
    public double etaSeconds() {
        return etaSeconds;
    }

    /** Slices per second of late, waiting included; 0 while there is nothing to measure. */
    public double slicesPerSecond() {
        return slicesPerSecond;
    }

    /**
     * Wall time of each part of the run so far, in order of first use: {@code prepare}, {@code read} (waiting for the
     * reader), the id of each stage, {@code write} (waiting for the writer). They do not overlap: the largest is what
     * limits the run.
     */
    public Map<String, Double> seconds() {
        return seconds;
    }
}
