package org.wagiri.fiji;

import ij.ImagePlus;
import org.wagiri.Scan;
import org.wagiri.ScanOptions;

/** The fields that say how to open a scan, which every command on scans has, and how they travel with an image. */
final class ScanFields {
    private static final String[] KEYS = {"path", "format", "dataset", "dark", "flat", "angles"};

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
        String path = active == null ? null : active.getProp("wagiri.path");
        if (path == null) {
            throw new CommandError(
                    "path: give a scan, or activate a stack that was opened with Wagiri Open Scan");
        }
        Values filled = values.copy();
        for (String key : KEYS) {
            String value = active.getProp("wagiri." + key);
            if (value != null) {
                filled.set(key, value);
            }
        }
        return filled;
    }

    static void remember(Values values, ImagePlus image) {
        for (String key : KEYS) {
            if (!values.text(key).isEmpty()) {
                image.setProp("wagiri." + key, values.text(key));
            }
        }
    }

    static Scan open(Values values) {
        ScanOptions options =
                new ScanOptions()
                        .format(values.text("format").equals("auto") ? "" : values.text("format"))
                        .dataset(values.text("dataset"))
                        .dark(values.text("dark"))
                        .flat(values.text("flat"))
                        .angles(values.text("angles"));
        return Scan.open(values.text("path"), options);
    }
}
