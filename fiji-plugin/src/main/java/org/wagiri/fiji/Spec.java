package org.wagiri.fiji;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** A command: its name in the menu and its fields. */
final class Spec {
    final String command;
    final String help;
    final List<Field> fields;

    Spec(String command, String help, Field... fields) {
        this.command = command;
        this.help = help;
        this.fields = Collections.unmodifiableList(Arrays.asList(fields));
    }

    /** The command and what is settled: dialogs of one name remember what was typed in. */
    String name() {
        StringBuilder name = new StringBuilder(command);
        for (Field field : fields) {
            name.append(field.kind == Field.Kind.FIXED ? " " + field.initial : "");
        }
        return name.toString();
    }

    /** What a fresh dialog shows. */
    Values initial() {
        Values values = new Values();
        for (Field field : fields) {
            values.set(field.key, field.initial);
        }
        return values;
    }

    /** Reads the options of a macro call; absent keys get their documented default, absent flags are off. */
    Values parse(String options, MacroOptions.Variables variables) {
        Map<String, String> given = MacroOptions.split(options, variables);
        Values values = new Values();
        for (Field field : fields) {
            String value = field.absent();
            if (given.containsKey(field.key)) {
                value = given.remove(field.key);
                if (value == null && field.kind != Field.Kind.FLAG) {
                    throw new CommandError(field.key + ": a value is missing; write " + field.key + "=value");
                }
            }
            values.set(field.key, value == null ? "true" : value);
        }
        for (String unknown : given.keySet()) {
            throw new CommandError("unknown key '" + unknown + "'; did you mean '" + nearest(unknown) + "'?");
        }
        check(values);
        return values;
    }

    /** Refuses values that their fields do not accept. */
    void check(Values values) {
        for (Field field : fields) {
            String complaint = field.complaint(values.text(field.key));
            if (complaint != null) {
                throw new CommandError(complaint);
            }
        }
    }

    /** The canonical option text: what differs from the defaults, in the order of the dialog. */
    String format(Values values) {
        StringBuilder text = new StringBuilder();
        for (Field field : fields) {
            String value = values.text(field.key);
            if (value.equals(field.absent())) {
                continue;
            }
            text.append(text.length() == 0 ? "" : " ").append(field.key);
            if (field.kind != Field.Kind.FLAG) {
                text.append('=').append(MacroOptions.quote(value));
            }
        }
        return text.toString();
    }

    /** Every field, for the log and the image info. */
    String describe(Values values) {
        StringBuilder text = new StringBuilder();
        for (Field field : fields) {
            text.append(text.length() == 0 ? "" : " ");
            text.append(field.key).append('=').append(MacroOptions.quote(values.text(field.key)));
        }
        return text.toString();
    }

    private String nearest(String word) {
        String best = "";
        int least = Integer.MAX_VALUE;
        for (Field field : fields) {
            // "size" is meant for size_px, not for stage.
            int distance = field.key.startsWith(word) ? 1 : editDistance(word, field.key);
            if (distance < least) {
                least = distance;
                best = field.key;
            }
        }
        return best;
    }

    private static int editDistance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 0; i < a.length(); i++) {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < b.length(); j++) {
                int replace = diagonal + (a.charAt(i) == b.charAt(j) ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = Math.min(replace, Math.min(diagonal, row[j]) + 1);
            }
        }
        return row[b.length()];
    }
}
