package org.wagiri.fiji;

import ij.ImagePlus;
import org.wagiri.Scan;
import org.wagiri.ScanOptions;

/** The fields that say how to open a scan, which every command on scans has, and how they travel with an image. */
final class ScanFields {
    private static final String[] KEYS = {"path", "format", "dataset", "dark", "flat", "angles"};

    /** Properties of an image that shows this scan. */
    static final String SCAN = "wagiri.";

    /** Properties of an image that was made from this scan, whose angles it has. */
    static final String ORIGIN = "wagiri.origin.";

    private ScanFields() {}

    static Field[] with(String pathLabel, Field... others) {
        Field[] scan = {
            Field.path("path", pathLabel),
            Field.choice("format", "Format", "auto", "hipic", "his", "tiff", "hdf5"),
            Field.text("dataset", "Dataset (HDF5 only, empty = standard place)"),
            Field.text("dark", "Dark (file, folder, 0..30, dataset or none; empty = as the format says)"),
            Field.text("flat", "Flat (file, folder, 0..30 or dataset; empty = as the format says)"),
            Field.text("angles", "Angles (file, 180 or -88.2..91.8 degrees; empty = as the format says)"),
        };
        Field[] all = new Field[scan.length + others.length];
        System.arraycopy(scan, 0, all, 0, scan.length);
        System.arraycopy(others, 0, all, scan.length, others.length);
        return all;
    }

    /** An empty path means the scan behind the active image. */
    static Values orFromImage(Values values, ImagePlus active) {
        if (!values.text("path").isEmpty()) {
            return values;
        }
        if (of(active, SCAN) == null) {
            throw new CommandError(
                    "path: give a scan, or activate a stack that was opened with Wagiri Open Scan");
        }
        return of(active, SCAN, values.copy());
    }

    /** How the scan behind an image was opened, or null if it does not say; {@code kind} is one of the constants above. */
    static Values of(ImagePlus image, String kind) {
        if (image == null || image.getProp(kind + "path") == null) {
            return null;
        }
        Values unset = new Values();
        for (String key : KEYS) {
            unset.set(key, key.equals("format") ? "auto" : "");
        }
        return of(image, kind, unset);
    }

    private static Values of(ImagePlus image, String kind, Values filled) {
        for (String key : KEYS) {
            String value = image.getProp(kind + key);
            if (value != null) {
                filled.set(key, value);
            }
        }
        return filled;
    }

    static void remember(Values values, ImagePlus image) {
        remember(values, image, SCAN);
    }

    static void remember(Values values, ImagePlus image, String kind) {
        for (String key : KEYS) {
            if (!values.text(key).isEmpty()) {
                image.setProp(kind + key, values.text(key));
            }
        }
    }

    static Scan open(Values values) {
        return Scan.open(values.text("path"), options(values));
    }

    static ScanOptions options(Values values) {
        return new ScanOptions()
                .format(values.text("format").equals("auto") ? "" : values.text("format"))
                .dataset(values.text("dataset"))
                .dark(values.text("dark"))
                .flat(values.text("flat"))
                .angles(values.text("angles"));
    }
}
