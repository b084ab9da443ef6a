package org.wagiri;

/** How the user helps where a scan format leaves something open. Everything is optional; empty text counts as unset. */
public final class ScanOptions {
    String format;
    String dark;
    String flat;
    String angles;
    String dataset;
    int firstView = -1;
    int endView = -1;

    /** Format by name instead of by looking: {@code hipic}, {@code his}, {@code tiff} or {@code hdf5}. */
    public ScanOptions format(String value) {
        format = unset(value);
        return this;
    }

    /** Dark frames: a file, a folder, or for {@code .his} a range of frames such as {@code 0..30}. */
    public ScanOptions dark(String value) {
        dark = unset(value);
        return this;
    }

    /** Direct-beam frames (I0), as {@link #dark}. */
    public ScanOptions flat(String value) {
        flat = unset(value);
        return this;
    }

    /** View angles: a text file of degrees, {@code FILE:A..B} for a part of it, or a span in degrees such as 180. */
    public ScanOptions angles(String value) {
        angles = unset(value);
        return this;
    }

    /** HDF5 dataset of the projections, where it is not at its standard place. */
    public ScanOptions dataset(String value) {
        dataset = unset(value);
        return this;
    }

    /** Only the views from {@code first} up to, not including, {@code end}. */
    public ScanOptions views(int first, int end) {
        firstView = first;
        endView = end;
        return this;
    }

    private static String unset(String value) {
        return value == null || value.isEmpty() ? null : value;
    }
}
