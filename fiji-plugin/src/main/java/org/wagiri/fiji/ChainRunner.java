package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Locale;
import org.wagiri.Chain;
import org.wagiri.ChainPlan;
import org.wagiri.Context;
import org.wagiri.ErrorCode;
import org.wagiri.RunOptions;
import org.wagiri.RunSummary;
import org.wagiri.Scan;
import org.wagiri.ScanOptions;
import org.wagiri.WagiriException;

/** From the fields of {@link RunChain} to slice files. No window, no dialog. */
final class ChainRunner {
    private final Values values;
    private final ImagePlus active;
    private String output;
    private String path;
    private String pixels;
    private boolean fromCounts;

    ChainRunner(Values values, ImagePlus active) {
        this.values = values;
        this.active = active;
    }

    /** What was made; null after a dry run, or if nothing was made before Escape. */
    SliceFiles run(ImageJProgress progress) {
        try (Context context = Machine.context(values)) {
            Machine.load(context, values.text("plugin"));
            try (Chain chain = parse(context, values.text("chain"))) {
                set(chain, values.text("set"));
                output = values.text("output").isEmpty() ? chain.outDir() : values.text("output");
                if (output == null && !values.flag("dry")) {
                    throw new CommandError(
                            "output: give the folder for the slices, or name it in the chain: write.tiff dir=FOLDER");
                }
                fromCounts = chain.input().equals("counts");
                pixels = chain.output();
                try (Scan scan = open(chain)) {
                    if (values.flag("dry")) {
                        plan(context, chain, scan, progress);
                        return null;
                    }
                    return run(context, chain, scan, progress);
                } catch (WagiriException e) {
                    if (e.code() == ErrorCode.CANCELLED) {
                        return null;
                    }
                    throw e;
                }
            }
        }
    }

    private SliceFiles run(Context context, Chain chain, Scan scan, ImageJProgress progress) {
        int planned = chain.slices(context, scan);
        RunSummary summary = null;
        try {
            RunOptions options = new RunOptions().resume(values.flag("resume"));
            summary = chain.run(context, scan, output, options, progress);
            for (String remark : summary.remarks()) {
                IJ.log("wagiri: " + remark);
            }
        } catch (WagiriException e) {
            if (e.code() != ErrorCode.CANCELLED) {
                throw e;
            }
        }
        boolean known = StackScan.isKnown(scan.info()) || chain.text().contains("pixel_um=");
        double pixelUm = !known ? Double.NaN : summary == null ? scan.info().pixelUm() : summary.pixelUm();
        int finished = summary == null ? (int) progress.finished() : summary.slices();
        return SliceFiles.of(chain, output, 0, finished, planned, pixelUm, summary);
    }

    private void plan(Context context, Chain chain, Scan scan, ImageJProgress progress) {
        ChainPlan plan = chain.plan(context, scan, progress);
        int slices = plan.endRow() - plan.firstRow();
        int slabs = (slices + plan.slabRows() - 1) / plan.slabRows();
        IJ.log("wagiri: chain " + chain.text());
        IJ.log("wagiri: slices " + slices + " of " + plan.width() + " x " + plan.height() + " pixels, in " + slabs
                + " slabs of " + plan.slabRows() + " with " + (plan.haloBelow() + plan.haloAbove()) + " rows around each");
        IJ.log("wagiri: memory " + bytes(plan.memoryBytes()) + " of " + bytes(context.memoryBytes())
                + " outside Java, disk " + bytes(plan.diskBytes()));
        IJ.log("wagiri: computing about " + ImageJProgress.time(plan.computeSeconds()) + " on " + context.threads()
                + " threads of a usual machine");
        for (String remark : plan.remarks()) {
            IJ.log("wagiri: " + remark);
        }
    }

    static String bytes(long bytes) {
        return bytes < 1e9
                ? String.format(Locale.ROOT, "%.1f MB", bytes / 1e6)
                : String.format(Locale.ROOT, "%.2f GB", bytes / 1e9);
    }

    /** A line, or the file that it names. */
    static Chain parse(Context context, String chain) {
        if (chain.isEmpty()) {
            throw new CommandError("chain: give a file, or a line such as raw | normalise | ring.sort | recon.fbp");
        }
        if (!chain.endsWith(".toml") || chain.contains("|")) {
            return Chain.parse(context, chain);
        }
        String text;
        try {
            Path file = Paths.get(chain);
            text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException | InvalidPathException e) {
            throw new CommandError("chain: cannot read the file " + chain);
        }
        try {
            return Chain.parse(context, text);
        } catch (WagiriException e) {
            throw new WagiriException(e.code(), chain + ": " + e.getMessage());
        }
    }

    /** {@code stage.param=value; ...}; a stage has a dot in its name, a parameter has none. */
    static void set(Chain chain, String assignments) {
        for (String part : assignments.split(";")) {
            String assignment = part.trim();
            if (assignment.isEmpty()) {
                continue;
            }
            int equals = assignment.indexOf('=');
            int dot = equals < 0 ? -1 : assignment.lastIndexOf('.', equals);
            if (dot <= 0) {
                throw new CommandError("set: expected stage.param=value, several with ; (value = '" + assignment + "')");
            }
            chain.set(
                    assignment.substring(0, dot).trim(),
                    assignment.substring(dot + 1, equals).trim(),
                    assignment.substring(equals + 1).trim());
        }
    }

    /** The data: as the field says, else as the chain says, else what is behind or in the active stack. */
    private Scan open(Chain chain) {
        String input = values.text("input");
        if (!input.isEmpty() || chain.path() != null) {
            return named(input.isEmpty() ? chain.path() : input, chain.open(input.isEmpty() ? null : input, new ScanOptions()));
        }
        if (fromCounts) {
            Values scan = ScanFields.of(active, ScanFields.SCAN);
            if (scan == null) {
                throw new CommandError("input: the chain takes raw projections; give a scan, or activate a stack that was"
                        + " opened with Wagiri Open Scan");
            }
            return named(scan.text("path"), chain.open(scan.text("path"), ScanFields.options(scan)));
        }
        String complaint = StackScan.complaint(active, chain.input(), "the chain");
        if (complaint != null) {
            throw new CommandError("input: " + complaint);
        }
        String series = active.getStack() instanceof SliceFileStack ? ((SliceFileStack) active.getStack()).series() : null;
        if (series != null) {
            return named(series, chain.open(series, new ScanOptions()));
        }
        IJ.log("wagiri: input is the active stack, " + active.getTitle());
        return StackScan.open(active, chain.input());
    }

    private Scan named(String name, Scan scan) {
        path = name;
        IJ.log("wagiri: input " + name);
        return scan;
    }

    /** The folder for the slices. */
    String output() {
        return output;
    }

    boolean isFromCounts() {
        return fromCounts;
    }

    /** What other commands should know of the result. */
    void remember(ImagePlus image) {
        StackScan.setPixels(image, pixels);
        if (!fromCounts || path == null) {
            return;
        }
        Values behind = ScanFields.of(active, ScanFields.SCAN);
        if (behind != null && behind.text("path").equals(path)) {
            ScanFields.remember(behind, image);
        } else {
            image.setProp(ScanFields.SCAN + "path", path);
        }
    }
}
