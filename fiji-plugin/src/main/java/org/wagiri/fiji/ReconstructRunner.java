package org.wagiri.fiji;

import org.wagiri.Chain;
import org.wagiri.Context;
import org.wagiri.ErrorCode;
import org.wagiri.RunOptions;
import org.wagiri.RunSummary;
import org.wagiri.Scan;
import org.wagiri.WagiriException;

/** From checked values to slice files. No window, no dialog: the command, macros and tests all come through here. */
final class ReconstructRunner {
    private ReconstructRunner() {}

    static SliceFiles run(Values values, ImageJProgress progress) {
        String output = values.text("output");
        if (output.isEmpty()) {
            throw new CommandError("output: give the folder for the slices; it is made if it does not exist");
        }
        try (Scan scan = ScanFields.open(values);
                Context context = Machine.context(values)) {
            double pixelUm = values.number("pixel_um", scan.info().pixelUm());
            int first = values.integer("first");
            int last = Rows.last(values, first, scan.info().rows(), "detector rows");
            try (Chain chain = Chain.parse(context, chainText(values))) {
                RunSummary summary = null;
                try {
                    RunOptions options = new RunOptions().rows(first, last + 1).resume(values.flag("resume"));
                    summary = chain.run(context, scan, output, options, progress);
                } catch (WagiriException e) {
                    if (e.code() != ErrorCode.CANCELLED) {
                        throw e;
                    }
                }
                int finished = summary == null ? (int) progress.finished() : summary.slices();
                return SliceFiles.of(chain, output, first, finished, last + 1 - first, pixelUm, summary);
            } catch (WagiriException e) {
                throw new WagiriException(e.code(), inFieldNames(e.getMessage()));
            }
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

    /** As write.tiff has it. */
    static String type(String bits) {
        switch (bits) {
            case "16-bit":
                return "u16";
            case "8-bit":
                return "u8";
            default:
                return "f32";
        }
    }

    /** The sentences of the library name parameters of stages; the user of a dialog knows its fields. */
    static String inFieldNames(String message) {
        return message.replace("kernel_px", "ring_kernel")
                .replace("center_px", "center")
                .replace("angle_offset_deg", "angle_deg")
                .replace("--turn full (stage parameter turn=full of recon.fbp)", "scan=360");
    }
}
