package org.wagiri;

/** How a scan is split for {@link N2i#split}. Everything is optional. */
public final class SplitOptions {
    /** Stands for all rows. */
    private static final int ALL = -1;

    int subsets = 4;
    int firstRow = ALL;
    int endRow = ALL;
    boolean resume;

    /** Subsets of the views, 2 to 64, with at least 8 views in each; 4 unless told. */
    public SplitOptions subsets(int value) {
        subsets = value;
        return this;
    }

    /** Only the detector rows from {@code first} up to, not including, {@code end}. */
    public SplitOptions rows(int first, int end) {
        firstRow = first;
        endRow = end;
        return this;
    }

    /** Continues the split that was stopped in the work folder; what is finished is not computed again. */
    public SplitOptions resume(boolean value) {
        resume = value;
        return this;
    }
}
