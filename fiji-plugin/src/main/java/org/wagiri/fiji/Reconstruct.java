package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.Interpreter;

/** Reconstructs a scan into slice files and shows them as a calibrated virtual stack. */
public final class Reconstruct extends Command {
    static final Spec SPEC =
            new Spec(
                    "Wagiri Reconstruct...",
                    Help.URL,
                    ScanFields.with(
                            "Path (empty = scan of the active stack)",
                            Field.folder("output", "Output (folder)"),
                            Field.choice("filter", "Filter", "chesler", "shepp-logan", "ramp"),
                            Field.numberOrAuto("center", "Center (column, px)"),
                            Field.number("angle_deg", "Angle_deg (turns the slice)", "0").beside(),
                            Field.choice("scan", "Scan (turned range, deg)", "auto", "180", "360"),
                            Field.choice("pad", "Pad (sample wider than the view)", "auto", "on", "off").beside(),
                            Field.integer("first", "First (detector row, from 0)", 0),
                            Field.integerOrAuto("last", "Last (included)").beside(),
                            Field.choice("ring", "Ring (removal)", "sort", "none"),
                            Field.integer("ring_kernel", "Ring_kernel (px, odd)", 5).beside(),
                            Field.numberOrAuto("pixel_um", "Pixel_um (at the sample)"),
                            Field.choice("type", "Type", "32-bit", "16-bit", "8-bit").beside(),
                            Field.numberOrAuto("min", "Min (1/cm, 16 and 8 bit)"),
                            Field.numberOrAuto("max", "Max (1/cm)").beside(),
                            Machine.device(),
                            Machine.threads(),
                            Machine.memory(),
                            Field.flag("resume", "Resume a stopped run (same fields, same output)", false),
                            Field.flag("open", "Open the result as a virtual stack", true)));

    @Override
    Spec spec() {
        return SPEC;
    }

    @Override
    String note() {
        ImagePlus active = WindowManager.getCurrentImage();
        String path = active == null ? null : active.getProp("wagiri.path");
        return path == null ? null : "Scan of the active stack: " + path;
    }

    @Override
    Values resolve(Values values) {
        return ScanFields.orFromImage(values, WindowManager.getCurrentImage());
    }

    @Override
    void execute(Spec spec, Values values) {
        ImageJProgress progress = new ImageJProgress("Reconstructing");
        IJ.showStatus("!Reconstructing");
        SliceFiles result = ReconstructRunner.run(values, progress);
        String output = values.text("output");
        String done = "";
        if (!result.stopped()) {
            for (String remark : result.summary.remarks()) {
                IJ.log("wagiri: " + remark);
            }
            done = "reconstructed " + result.summary.slices() + " slices into " + output + ", center "
                    + result.summary.center() + " px, " + result.summary.min() + " to " + result.summary.max()
                    + " 1/cm";
        }
        String end = result.end(done);
        Command.tell(end);
        if (values.flag("open") && !result.files.isEmpty()) {
            ImagePlus image = result.open(SPEC, values, output);
            ScanFields.remember(values, image);
            StackScan.setPixels(image, "volume");
            if (!result.stopped()) {
                image.setProp("wagiri.center", result.summary.center());
            }
            image.show();
        }
        if (result.stopped()) {
            Command.stopMacro(Interpreter.getInstance(), SPEC.command + ": " + end);
        }
    }
}
