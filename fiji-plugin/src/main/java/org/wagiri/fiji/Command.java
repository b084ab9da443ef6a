package org.wagiri.fiji;

import ij.IJ;
import ij.Macro;
import ij.macro.Interpreter;
import ij.plugin.PlugIn;
import java.awt.GraphicsEnvironment;
import org.wagiri.ErrorCode;
import org.wagiri.Wagiri;
import org.wagiri.WagiriException;

/** What the commands share: options or dialog, errors, Escape. */
abstract class Command implements PlugIn {
    private static final String NEEDED = "1.53t";

    /** The name in the menu and the fields that are always there. */
    abstract Spec spec();

    /** The fields for the options of a macro call. */
    Spec spec(String options, MacroOptions.Variables variables) {
        return spec();
    }

    /** The fields for a dialog, where another one may have come before it; null if the user cancelled that. */
    Spec ask() {
        return spec();
    }

    /** A line for the dialog, or null. */
    String note() {
        return null;
    }

    /** Fills in what the active image knows. */
    Values resolve(Values values) {
        return values;
    }

    /** Does the work; must not open a dialog. */
    abstract void execute(Spec spec, Values values);

    @Override
    public final void run(String arg) {
        // First of all: the options are known on this thread only.
        String options = Macro.getOptions();
        if (IJ.versionLessThan(NEEDED)) {
            return;
        }
        try {
            Spec spec;
            Values values;
            if (options != null) {
                MacroOptions.Variables variables = new InterpreterVariables();
                spec = spec(options, variables);
                values = spec.parse(options, variables);
            } else if (GraphicsEnvironment.isHeadless()) {
                throw new CommandError("without a window the options must be given: run(\"" + spec().command
                        + "\", \"key=value ...\")");
            } else {
                spec = ask();
                values = spec == null ? null : SpecDialog.ask(spec, note());
                if (values == null) {
                    return;
                }
                SpecDialog.record(spec, values);
            }
            IJ.resetEscape();
            values = resolve(values);
            IJ.log("wagiri " + Wagiri.version() + ": run(\"" + spec.command + "\", \"" + spec.describe(values) + "\");");
            execute(spec, values);
        } catch (CommandError e) {
            fail(spec().command, e.getMessage());
        } catch (WagiriException e) {
            boolean defect = e.code() == ErrorCode.INTERNAL;
            fail(spec().command, defect ? e.getMessage() + "; this is a defect of wagiri, please report it" : e.getMessage());
        } finally {
            IJ.showProgress(1.0);
        }
    }

    /**
     * Shows an error and ends the macro that called. Where nobody can answer a dialog (headless, batch mode) the
     * sentence goes to the Log, which is the standard output if there is no window.
     */
    private static void fail(String command, String message) {
        Interpreter interpreter = Interpreter.getInstance();
        boolean unattended =
                GraphicsEnvironment.isHeadless() || IJ.getInstance() == null || Interpreter.isBatchMode();
        if (!unattended) {
            IJ.error(command, message);
            return;
        }
        IJ.log(command + ": " + message);
        stopMacro(interpreter, command + ": " + message);
    }

    /** Says what came out, in the Log and in the status bar. */
    static void tell(String end) {
        IJ.log("wagiri: " + end);
        IJ.showStatus("!" + Character.toUpperCase(end.charAt(0)) + end.substring(1));
    }

    /** Ends the calling macro or script without a dialog. */
    static void stopMacro(Interpreter interpreter, String reason) {
        if (interpreter != null) {
            interpreter.setIgnoreErrors(true);
            interpreter.abort(reason);
        }
        if (IJ.isMacro()) {
            Macro.abort();
        }
    }

    private static final class InterpreterVariables implements MacroOptions.Variables {
        @Override
        public String value(String name) {
            Interpreter interpreter = Interpreter.getInstance();
            if (interpreter == null) {
                return null;
            }
            String text = interpreter.getStringVariable(name);
            double number = text == null ? interpreter.getVariable2(name) : Double.NaN;
            if (Double.isNaN(number)) {
                return text;
            }
            // Every macro number is a double; "5.0" would not do for a whole number.
            return number == Math.rint(number) && Math.abs(number) < 1e15
                    ? Long.toString((long) number)
                    : Double.toString(number);
        }
    }
}
