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

    /**
     * Dark frames, averaged: a file or folder of images, a range of frames such as {@code 0..30} (from 0, 30 not
     * included) where one file holds all frames ({@code .his}, multi-page TIFF, HDF5), an HDF5 dataset, or {@code none}
     * to subtract nothing.
     */
    public ScanOptions dark(String value) {
        dark = unset(value);
        return this;
    }

    /**
     * Direct-beam frames (I0), as {@link #dark} but not {@code none}. Several ranges such as {@code 0..10,90..100} are
     * as many images at different times.
     */
    public ScanOptions flat(String value) {
        flat = unset(value);
        return this;
    }

    /**
     * View angles. {@code 180}: even over so many degrees, without the end point. {@code -88.2..91.8}: even, both ends
     * included. {@code FILE}: a text file with one angle in degrees per line. {@code FILE:A..B}: its entries A to
     * B - 1, counted from 0. Relative paths here, in {@link #dark} and in {@link #flat} are looked up in the folder of
     * the scan, then as they stand.
     */
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
