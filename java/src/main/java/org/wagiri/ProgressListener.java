package org.wagiri;

/** Hears how far a long call is. Called on the thread that made the call, several times a second. */
@FunctionalInterface
public interface ProgressListener {
    /**
     * @param done slices finished
     * @param total slices in all
     * @param fraction finished part of the work, 0 to 1; moves inside a slice too
     * @param etaSeconds estimated seconds left, or NaN while there is nothing to estimate from
     * @return {@code false} to cancel: the call then throws {@link WagiriException} with {@link ErrorCode#CANCELLED}.
     *         An exception thrown here stops the call too, and comes out of it unchanged.
     */
    boolean progress(long done, long total, double fraction, double etaSeconds);

    /**
     * The same with all figures; this is what the library calls. Override it to see rate and times.
     *
     * @return as {@link #progress}, which is what it calls unless it is overridden
     */
    default boolean report(ProgressReport report) {
        return progress(report.done(), report.total(), report.fraction(), report.etaSeconds());
    }
}
