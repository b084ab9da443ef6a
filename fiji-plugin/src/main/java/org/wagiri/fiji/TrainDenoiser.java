package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.Interpreter;
import java.awt.GraphicsEnvironment;
import org.wagiri.TrainSummary;

/** Trains a network that denoises a scan on the noisy scan itself. */
public final class TrainDenoiser extends Command {
    static final Spec SPEC =
            new Spec(
                    "Wagiri Train Denoiser...",
                    Help.URL,
                    ScanFields.with(
                            "Path (empty = what the work folder holds, or the scan of the active stack)",
                            Field.folder("work", "Work (folder for the noisy volumes and checkpoints)"),
                            Field.path("model", "Model (file to write; empty = model.safetensors in the work folder)"),
                            DenoiserFields.chain("Chain (line or file; empty = raw | normalise | ring.sort | recon.fbp)"),
                            DenoiserFields.center(),
                            DenoiserFields.pixel(),
                            Field.integer("first", "First (detector row, from 0)", 0),
                            Field.integerOrAuto("last", "Last (included)").beside(),
                            Field.integer("splits", "Splits (of the views)", 4).beside(),
                            Field.choice("preset", "Preset", "small", "large"),
                            DenoiserFields.device().beside(),
                            Field.choice("norm", "Norm", "auto", "batch", "none").beside(),
                            Field.integerOrAuto("neighbours", "Neighbours (above and below)"),
                            Field.integerOrAuto("width", "Width (channels)").beside(),
                            Field.integerOrAuto("depth", "Depth (levels)").beside(),
                            Field.integerOrAuto("epochs", "Epochs"),
                            Field.integerOrAuto("slices", "Slices (of an epoch)").beside(),
                            Field.integerOrAuto("batch", "Batch").beside(),
                            Field.integerOrAuto("patch", "Patch (px)"),
                            Field.numberOrAuto("rate", "Rate (of learning)").beside(),
                            Field.integerOrAuto("warmup", "Warmup (steps)").beside(),
                            Field.choice("decay", "Decay (of the rate)", "auto", "cosine", "constant"),
                            Field.numberOrAuto("clip", "Clip (norm of gradients)").beside(),
                            Field.numberOrAuto("average", "Average (of weights)").beside(),
                            Field.integerOrAuto("held_out", "Held_out (slices to check by)"),
                            Field.integerOrAuto("patience", "Patience (epochs)").beside(),
                            Field.integerOrAuto("seed", "Seed").beside(),
                            Field.numberOrAuto("checkpoint_s", "Checkpoint_s (every so many s)"),
                            Machine.threads(),
                            Machine.memory(),
                            Field.flag("resume", "Resume a stopped training (same fields, same work folder)", false),
                            Field.flag("plot", "Plot the losses and show a sample slice after every epoch", true)));

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
        return TrainRunner.usesWork(values) ? values : ScanFields.orFromImage(values, WindowManager.getCurrentImage());
    }

    @Override
    void execute(Spec spec, Values values) {
        boolean window = values.flag("plot") && !GraphicsEnvironment.isHeadless() && !Interpreter.isBatchMode();
        TrainRunner runner = new TrainRunner(values);
        TrainView view = window ? new TrainView(runner.preview()) : null;
        TrainSummary done;
        try {
            done = runner.run(view);
        } finally {
            if (view != null) {
                view.end();
            }
        }
        if (done == null) {
            String end = "stopped on Escape before the training; the same fields with resume go on";
            tell(end);
            stopMacro(Interpreter.getInstance(), SPEC.command + ": " + end);
            return;
        }
        for (String remark : done.remarks()) {
            IJ.log("wagiri: " + remark);
        }
        String end = runner.end(done);
        tell(end);
        // The button means that the model is good enough; Escape, that whatever runs shall end.
        if (runner.escaped()) {
            stopMacro(Interpreter.getInstance(), SPEC.command + ": " + end);
        }
    }
}
