package org.wagiri.fiji;

import ij.ImagePlus;
import ij.WindowManager;
import ij.macro.Interpreter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.wagiri.Context;
import org.wagiri.ParamInfo;
import org.wagiri.StageInfo;

/** Runs one stage, built-in or of a plugin, on the active stack; its fields are those that the stage describes itself. */
public final class RunStage extends Command {
    static final String NAME = "Wagiri Stage...";
    static final Field STAGE = Field.fixed("stage", "Stage", "");
    static final Field PLUGIN = Machine.plugin();
    static final Spec SPEC = new Spec(NAME, Help.URL, STAGE, PLUGIN);

    /** The plugins of the last dialog, whose stages the next one offers. */
    private static String plugins = "";

    private String summary;

    @Override
    Spec spec() {
        return SPEC;
    }

    @Override
    Spec spec(String options, MacroOptions.Variables variables) {
        Map<String, String> given = MacroOptions.split(options, variables);
        String id = given.get("stage");
        if (id == null || id.isEmpty()) {
            throw new CommandError("stage: give a stage, such as stage=filter.median");
        }
        String plugin = given.get("plugin") == null ? "" : given.get("plugin");
        try (Context context = Context.create()) {
            Machine.load(context, plugin);
            return described(StageRunner.find(context, id), plugin);
        }
    }

    /** Lets the user choose a stage; the list is made anew when another plugin is named. */
    @Override
    Spec ask() {
        while (true) {
            List<String> ids = new ArrayList<>();
            List<StageInfo> stages;
            try (Context context = Context.create()) {
                Machine.load(context, plugins);
                stages = context.stages();
            } catch (RuntimeException e) {
                plugins = "";
                throw e;
            }
            ImagePlus image = WindowManager.getCurrentImage();
            for (StageInfo stage : stages) {
                if (StageRunner.complaint(stage) == null && StackScan.complaint(image, stage.input(), "") == null) {
                    ids.add(stage.id());
                }
            }
            if (ids.isEmpty()) {
                throw new CommandError("stage: activate a stack of slices or of sinograms in absorbance");
            }
            Spec chooser =
                    new Spec(NAME, help(stages, ids), Field.choice("stage", "Stage", ids.toArray(new String[0])), PLUGIN);
            Values chosen = SpecDialog.ask(chooser, "Only stages that the active stack fits are listed.");
            if (chosen == null) {
                return null;
            }
            if (chosen.text("plugin").equals(plugins)) {
                for (StageInfo stage : stages) {
                    if (stage.id().equals(chosen.text("stage"))) {
                        return described(stage, plugins);
                    }
                }
            }
            plugins = chosen.text("plugin");
        }
    }

    /** The command for one stage. */
    private Spec described(StageInfo stage, String plugin) {
        summary = stage.id() + ": " + stage.summary();
        List<Field> fields = new ArrayList<>();
        fields.add(Field.fixed("stage", "Stage", stage.id()));
        fields.add(Field.fixed("plugin", PLUGIN.label, plugin));
        StringBuilder help = new StringBuilder("<html><h2>" + escaped(stage.id()) + "</h2>" + escaped(stage.summary()) + "<ul>");
        for (ParamInfo param : stage.params()) {
            if (param.name().equals("stage") || param.name().equals("plugin")) {
                throw new CommandError(stage.id() + " has a parameter '" + param.name()
                        + "', which is a word of this command; use Wagiri Run Chain");
            }
            fields.add(Field.of(param));
            help.append("<li><i>").append(escaped(param.name())).append("</i>: ").append(escaped(param.help()));
        }
        return new Spec(NAME, help + "</ul>", fields.toArray(new Field[0]));
    }

    private static String help(List<StageInfo> stages, List<String> ids) {
        StringBuilder help = new StringBuilder("<html><h2>Stages</h2><ul>");
        for (StageInfo stage : stages) {
            if (ids.contains(stage.id())) {
                help.append("<li><i>").append(escaped(stage.id())).append("</i>: ").append(escaped(stage.summary()));
            }
        }
        return help + "</ul>";
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;");
    }

    @Override
    String note() {
        return summary;
    }

    @Override
    void execute(Spec spec, Values values) {
        ImagePlus result = StageRunner.run(spec, values, WindowManager.getCurrentImage());
        if (result == null) {
            String end = "stopped on Escape; the stack is as it was";
            tell(end);
            stopMacro(Interpreter.getInstance(), NAME + ": " + end);
            return;
        }
        result.show();
        tell("made " + result.getStackSize() + " slices of " + result.getWidth() + " x " + result.getHeight() + " with "
                + values.text("stage"));
    }
}
