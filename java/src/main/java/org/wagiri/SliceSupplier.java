package org.wagiri;

/** Gives slices or sinograms that are in memory already, one after the other, on the thread that made the call. */
@FunctionalInterface
public interface SliceSupplier {
    /**
     * @param z which one, from 0; each is asked for once, in order
     * @return its pixels, row by row; they are copied, so the array may be used again for the next one
     */
    float[] slice(int z);
}
