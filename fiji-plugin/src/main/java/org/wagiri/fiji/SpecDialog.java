package org.wagiri.fiji;

import ij.IJ;
import ij.gui.GenericDialog;
import ij.plugin.frame.Recorder;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.TextField;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.Vector;

/**
 * The dialog of a {@link Spec}. Built only where there is a window; macros never come here.
 *
 * <p>The fields are read straight from their components and recorded by {@link #record}, so that the Recorder shows
 * the same text as {@link Spec#format}.
 */
final class SpecDialog {
    private static final int LONG = 40;
    private static final int SHORT = 8;
    private static final Map<String, Values> LAST = new HashMap<>();

    private SpecDialog() {}

    /** Shows the dialog until the values are acceptable; null if the user cancelled. */
    static Values ask(Spec spec, String note) {
        Values values = LAST.containsKey(spec.name()) ? LAST.get(spec.name()) : spec.initial();
        while (true) {
            GenericDialog dialog = build(spec, values, note);
            dialog.showDialog();
            if (dialog.wasCanceled()) {
                return null;
            }
            values = read(spec, dialog);
            try {
                spec.check(values);
                LAST.put(spec.name(), values);
                return values;
            } catch (CommandError e) {
                IJ.error(spec.command, e.getMessage());
            }
        }
    }

    /** Writes the call into the Recorder, if one is open. */
    static void record(Spec spec, Values values) {
        if (!Recorder.record) {
            return;
        }
        for (Field field : spec.fields) {
            String value = values.text(field.key);
            if (value.equals(field.absent())) {
                continue;
            }
            if (field.kind == Field.Kind.FLAG) {
                Recorder.recordOption(field.key);
            } else {
                // The Recorder adds brackets where there is a blank, and only there.
                Recorder.recordOption(field.key, value.indexOf(' ') >= 0 ? value : MacroOptions.quote(value));
            }
        }
    }

    private static GenericDialog build(Spec spec, Values values, String note) {
        GenericDialog dialog = new GenericDialog(spec.command.replace("...", ""));
        for (Field field : spec.fields) {
            if (field.besidePrevious) {
                dialog.addToSameRow();
            }
            String value = values.text(field.key);
            switch (field.kind) {
                case FIXED:
                    break;
                case PATH:
                    dialog.addFileField(field.label, value, LONG);
                    break;
                case FOLDER:
                    dialog.addDirectoryField(field.label, value, LONG);
                    break;
                case TEXT:
                    dialog.addStringField(field.label, value, LONG);
                    break;
                case CHOICE:
                    dialog.addChoice(field.label, field.words.toArray(new String[0]), value);
                    break;
                case FLAG:
                    dialog.addCheckbox(field.label, Boolean.parseBoolean(value));
                    break;
                default:
                    dialog.addStringField(field.label, value, SHORT);
            }
        }
        if (note != null) {
            dialog.addMessage(note);
        }
        dialog.addHelp(spec.help);
        return dialog;
    }

    private static Values read(Spec spec, GenericDialog dialog) {
        Iterator<?> texts = iterator(dialog.getStringFields());
        Iterator<?> choices = iterator(dialog.getChoices());
        Iterator<?> checkboxes = iterator(dialog.getCheckboxes());
        Values values = new Values();
        for (Field field : spec.fields) {
            switch (field.kind) {
                case FIXED:
                    values.set(field.key, field.initial);
                    break;
                case CHOICE:
                    values.set(field.key, ((Choice) choices.next()).getSelectedItem());
                    break;
                case FLAG:
                    values.set(field.key, Boolean.toString(((Checkbox) checkboxes.next()).getState()));
                    break;
                default:
                    values.set(field.key, clean(field, ((TextField) texts.next()).getText()));
            }
        }
        return values;
    }

    /** Recorded text must not hold backslashes, which a macro would take for escapes; Windows accepts slashes. */
    private static String clean(Field field, String text) {
        String trimmed = text.trim();
        boolean path = field.kind == Field.Kind.PATH || field.kind == Field.Kind.FOLDER;
        if (path || field.kind == Field.Kind.TEXT) {
            return trimmed.replace('\\', '/');
        }
        return trimmed.isEmpty() ? field.initial : trimmed.toLowerCase(Locale.ROOT);
    }

    private static Iterator<?> iterator(Vector<?> components) {
        return (components == null ? new Vector<Object>() : components).iterator();
    }
}
