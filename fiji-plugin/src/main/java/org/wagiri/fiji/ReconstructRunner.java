package org.wagiri.fiji;

import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.wagiri.Chain;
import org.wagiri.Context;
import org.wagiri.ErrorCode;
import org.wagiri.RunOptions;
import org.wagiri.RunSummary;
import org.wagiri.Scan;
import org.wagiri.WagiriException;

/** From checked values to slice files. No window, no dialog: the command, macros and tests all come through here. */
final class ReconstructRunner {
    /** What came out. */
    static final class Result {
        final List<File> files;
        /** Where the files are. */
        final File folder;
        /** NaN if nobody told. */
        final double pixelUm;
        final int planned;
        final boolean stopped;
        /** Null if the run was stopped. */
        final RunSummary summary;

        Result(File folder, List<File> files, double pixelUm, int planned, RunSummary summary) {
            this.folder = folder;
            this.files = files;
            this.pixelUm = pixelUm;
            this.planned = planned;
            this.stopped = summary == null;
            this.summary = summary;
        }
    }

    private ReconstructRunner() {}

    static Result run(Values values, ImageJProgress progress) {
        String output = values.text("output");
        if (output.isEmpty()) {
            throw new CommandError("output: give the folder for the slices; it is made if it does not exist");
        }
        if (values.text("threads").equals("0")) {
            throw new CommandError("threads: expected a whole number of at least 1 or auto");
        }
        try (Scan scan = ScanFields.open(values);
                Context context =
                        Context.create(
                                values.integer("threads", 0), memoryBytes(values), values.text("device"))) {
            double pixelUm = values.number("pixel_um", scan.info().pixelUm());
            int first = values.integer("first");
            int last = Rows.last(values, first, scan.info().rows(), "detector rows");
            RunSummary summary = null;
            try (Chain chain = Chain.parse(context, chainText(values))) {
                RunOptions options = new RunOptions().rows(first, last + 1).resume(values.flag("resume"));
                summary = chain.run(context, scan, output, options, progress);
            } catch (WagiriException e) {
                if (e.code() != ErrorCode.CANCELLED) {
                    throw new WagiriException(e.code(), inFieldNames(e.getMessage()));
                }
            }
            int finished = summary == null ? (int) progress.finished() : summary.slices();
            boolean floats = values.text("type").equals("32-bit");
            // 16- and 8-bit files need the range of the volume; a run that stops before it is known leaves 32-bit slices.
            boolean collected = summary == null && !floats && (values.isAuto("min") || values.isAuto("max"));
            File folder = collected ? new File(output, "float32") : new File(output);
            String prefix = floats || collected ? "rec" : values.text("type").equals("16-bit") ? "rh" : "ro";
            List<File> files = files(folder, prefix, first, finished);
            return new Result(folder, files, pixelUm, last + 1 - first, summary);
        }
    }

    /** The chain that the fields describe. */
    static String chainText(Values values) {
        StringBuilder chain = new StringBuilder("raw | normalise");
        if (values.text("ring").equals("sort")) {
            chain.append(" | ring.sort kernel_px=").append(values.text("ring_kernel"));
        }
        chain.append(" | recon.fbp filter=").append(values.text("filter"));
        chain.append(" center_px=").append(values.text("center"));
        chain.append(" pixel_um=").append(values.text("pixel_um"));
        chain.append(" angle_offset_deg=").append(values.text("angle_deg"));
        chain.append(" pad=").append(values.text("pad"));
        if (!values.isAuto("scan")) {
            chain.append(" turn=").append(values.text("scan").equals("180") ? "half" : "full");
        }
        chain.append(" | write.tiff type=").append(type(values.text("type")));
        chain.append(" min=").append(values.text("min"));
        chain.append(" max=").append(values.text("max"));
        return chain.toString();
    }

    private static String type(String bits) {
        switch (bits) {
            case "16-bit":
                return "u16";
            case "8-bit":
                return "u8";
            default:
                return "f32";
        }
    }

    private static long memoryBytes(Values values) {
        double gigabytes = values.number("memory_gb", 0);
        if (!values.isAuto("memory_gb") && gigabytes <= 0) {
            throw new CommandError("memory_gb: expected a number greater than 0 or auto");
        }
        return Math.round(gigabytes * 1e9);
    }

    /** The sentences of the library name parameters of stages; the user of a dialog knows its fields. */
    static String inFieldNames(String message) {
        return message.replace("kernel_px", "ring_kernel")
                .replace("center_px", "center")
                .replace("angle_offset_deg", "angle_deg")
                .replace("--turn full (stage parameter turn=full of recon.fbp)", "scan=360");
    }

    private static List<File> files(File folder, String prefix, int first, int count) {
        List<File> files = new ArrayList<>();
        for (int z = first; z < first + count; z++) {
            File file = new File(folder, String.format(Locale.ROOT, "%s%05d.tif", prefix, z));
            if (file.isFile()) {
                files.add(file);
            }
        }
        return Collections.unmodifiableList(files);
    }
}
