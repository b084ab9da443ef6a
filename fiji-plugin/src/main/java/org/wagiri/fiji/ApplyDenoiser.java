package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.Interpreter;

/** Reconstructs a scan with a trained denoiser into slice files and shows them as a calibrated virtual stack. */
public final class ApplyDenoiser extends Command {
    static final Spec SPEC =
            new Spec(
                    "Wagiri Apply Denoiser...",
                    Help.URL,
                    ScanFields.with(
                            "Path (empty = scan of the active stack)",
                            Field.path("model", "Model (file that Wagiri Train Denoiser wrote)"),
                            Field.folder("output", "Output (folder)"),
                            DenoiserFields.chain("Chain (line or file; empty = that of the model)"),
                            DenoiserFields.center(),
                            DenoiserFields.pixel(),
                            Field.integer("first", "First (detector row, from 0)", 0),
                            Field.integerOrAuto("last", "Last (included)").beside(),
                            Field.choice("type", "Type", "32-bit", "16-bit", "8-bit"),
                            Field.numberOrAuto("min", "Min (1/cm, 16 and 8 bit)").beside(),
                            Field.numberOrAuto("max", "Max (1/cm)").beside(),
                            DenoiserFields.device(),
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
        IJ.showStatus("!Denoising");
        SliceFiles result = ApplyRunner.run(values, new ImageJProgress("Denoising"));
        String output = values.text("output");
        String done = "";
        if (!result.stopped()) {
            for (String remark : result.summary.remarks()) {
                IJ.log("wagiri: " + remark);
            }
            done = "denoised " + result.summary.slices() + " slices into " + output + ", center " + result.summary.center()
                    + " px, " + result.summary.min() + " to " + result.summary.max() + " 1/cm";
        }
        String end = result.end(done);
        tell(end);
        if (values.flag("open") && !result.files.isEmpty()) {
            ImagePlus image = result.open(SPEC, values, output);
            ScanFields.remember(values, image);
            StackScan.setPixels(image, "volume");
            image.setProp("wagiri.model", values.text("model"));
            if (!result.stopped()) {
                image.setProp("wagiri.center", result.summary.center());
            }
            image.show();
        }
        if (result.stopped()) {
            stopMacro(Interpreter.getInstance(), SPEC.command + ": " + end);
        }
    }
}
