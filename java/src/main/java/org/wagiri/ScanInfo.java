package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What is known of a scan apart from its pixels. */
public final class ScanInfo {
    private final String format;
    private final String details;
    private final String path;
    private final int views;
    private final int rows;
    private final int cols;
    private final int flats;
    private final double[] anglesRad;
    private final double pixelUm;
    private final List<String> notes;
    private final String pixels;

    ScanInfo(
            String format,
            String details,
            String path,
            int views,
            int rows,
            int cols,
            int flats,
            double[] anglesRad,
            double pixelUm,
            String[] notes,
            String pixels) {
        this.format = format;
        this.details = details;
        this.path = path;
        this.views = views;
        this.rows = rows;
        this.cols = cols;
        this.flats = flats;
        this.anglesRad = anglesRad;
        this.pixelUm = pixelUm;
        this.notes = Collections.unmodifiableList(Arrays.asList(notes));
        this.pixels = pixels;
    }

    /**
     * {@code counts}, {@code sinogram} or {@code volume}. For a volume {@link #views}, {@link #rows} and {@link #cols} are its
     * y, z and x, and it has no angles.
     */
    public String pixels() {
        return pixels;
    }

    /** {@code hipic}, {@code his}, {@code tiff}, {@code hdf5}, {@code slices} or {@code memory}. */
    public String format() {
        return format;
    }

    /** One line for people: sample format, compression, layout. */
    public String details() {
        return details;
    }

    /** Where it was opened. */
    public String path() {
        return path;
    }

    /** Projections. */
    public int views() {
        return views;
    }

    /** Detector rows, which are the slices. */
    public int rows() {
        return rows;
    }

    /** Detector columns. */
    public int cols() {
        return cols;
    }

    /** Direct-beam images. */
    public int flats() {
        return flats;
    }

    /** One angle per view, radians. */
    public double[] anglesRad() {
        return anglesRad.clone();
    }

    /** Detector pixel at the sample in micrometres, or NaN if the files do not say. */
    public double pixelUm() {
        return pixelUm;
    }

    /** Remarks that a user should see once. */
    public List<String> notes() {
        return notes;
    }
}
