package org.wagiri.fiji;

import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.Interpreter;

/** Runs a chain, a line or a file, from data to slice files, and shows them as a virtual stack. */
public final class RunChain extends Command {
    static final Spec SPEC =
            new Spec(
                    "Wagiri Run Chain...",
                    Help.URL,
                    Field.path("chain", "Chain (file .toml, or a line: raw | normalise | ...)"),
                    Field.path("input", "Input (empty = what the chain names, or the active stack)"),
                    Field.folder("output", "Output (folder; empty = what the chain names)"),
                    Field.text("set", "Set (stage.param=value; ...)"),
                    Machine.plugin(),
                    Machine.device(),
                    Machine.threads(),
                    Machine.memory(),
                    Field.flag("resume", "Resume a stopped run (same fields, same output)", false),
                    Field.flag("dry", "Dry run (only tell in the Log what it would take)", false),
                    Field.flag("open", "Open the result as a virtual stack", true));

    @Override
    Spec spec() {
        return SPEC;
    }

    @Override
    String note() {
        ImagePlus active = WindowManager.getCurrentImage();
        return active == null ? null : "Active stack: " + active.getTitle();
    }

    @Override
    void execute(Spec spec, Values values) {
        ChainRunner runner = new ChainRunner(values, WindowManager.getCurrentImage());
        SliceFiles result = runner.run(new ImageJProgress("Running"));
        if (result == null) {
            tell(values.flag("dry") ? "dry run: nothing was written" : "stopped on Escape before the first slice");
            if (!values.flag("dry")) {
                stopMacro(Interpreter.getInstance(), SPEC.command + ": stopped on Escape");
            }
            return;
        }
        String output = runner.output();
        String end = result.end(
                result.stopped()
                        ? ""
                        : "made " + result.summary.slices() + " slices in " + output + ", " + result.summary.min() + " to "
                                + result.summary.max());
        tell(end);
        if (values.flag("open") && !result.files.isEmpty()) {
            ImagePlus image = result.open(SPEC, values, output);
            runner.remember(image);
            if (!result.stopped() && runner.isFromCounts()) {
                image.setProp("wagiri.center", result.summary.center());
            }
            image.show();
        }
        if (result.stopped()) {
            stopMacro(Interpreter.getInstance(), SPEC.command + ": " + end);
        }
    }
}
