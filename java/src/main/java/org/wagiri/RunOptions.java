package org.wagiri;

/** What part of a scan to run, and how. Everything is optional. */
public final class RunOptions {
    /** Stands for all rows. */
    private static final int ALL = -1;

    int firstRow = ALL;
    int endRow = ALL;
    boolean resume;

    /** Only the detector rows from {@code first} up to, not including, {@code end}. */
    public RunOptions rows(int first, int end) {
        firstRow = first;
        endRow = end;
        return this;
    }

    /**
     * Continues the run that was stopped in the output folder, instead of starting over. It must be of the same version,
     * chain, rows and frames, or the call fails with {@link ErrorCode#INVALID}; without a run in the folder with
     * {@link ErrorCode#NOT_FOUND}. Finished slices are not touched, and the bytes are those of a run that was never
     * stopped.
     */
    public RunOptions resume(boolean value) {
        resume = value;
        return this;
    }
}
