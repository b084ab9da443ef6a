package org.wagiri.fiji;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Splits the option text of a macro call, such as {@code path=[/a b/c] center=&c open}.
 *
 * <p>ImageJ's own search finds {@code sigma=} inside {@code ring_sigma=9} and inside bracketed text; this one knows
 * where a key begins and ends. Brackets nest.
 */
final class MacroOptions {
    /** Gives the value of a macro variable, or null if there is none. */
    interface Variables {
        String value(String name);
    }

    private MacroOptions() {}

    /** Keys to values in the order of the text; a bare key has the value null. */
    static Map<String, String> split(String text, Variables variables) {
        Map<String, String> options = new LinkedHashMap<>();
        int i = 0;
        while (i < text.length()) {
            if (Character.isWhitespace(text.charAt(i))) {
                i++;
                continue;
            }
            int start = i;
            while (i < text.length() && text.charAt(i) != '=' && !Character.isWhitespace(text.charAt(i))) {
                i++;
            }
            String key = text.substring(start, i);
            String value = null;
            if (i < text.length() && text.charAt(i) == '=') {
                i++;
                int end = i < text.length() && text.charAt(i) == '[' ? closing(text, i, key) : word(text, i);
                boolean bracketed = end > i && text.charAt(i) == '[';
                value = bracketed ? text.substring(i + 1, end - 1) : variable(text.substring(i, end), variables);
                i = end;
            }
            if (key.isEmpty()) {
                throw new CommandError("the options need key=value; a key is missing before '='");
            }
            if (options.containsKey(key)) {
                throw new CommandError(key + ": given twice; give each key once");
            }
            options.put(key, value);
        }
        return options;
    }

    /** The value as it must stand in an option text. */
    static String quote(String value) {
        boolean plain = !value.isEmpty() && value.charAt(0) != '&' && value.charAt(0) != '[';
        for (int i = 0; plain && i < value.length(); i++) {
            plain = !Character.isWhitespace(value.charAt(i));
        }
        return plain ? value : "[" + value + "]";
    }

    private static int word(String text, int i) {
        int end = i;
        while (end < text.length() && !Character.isWhitespace(text.charAt(end))) {
            end++;
        }
        return end;
    }

    private static int closing(String text, int open, String key) {
        int depth = 0;
        for (int i = open; i < text.length(); i++) {
            if (text.charAt(i) == '[') {
                depth++;
            } else if (text.charAt(i) == ']' && --depth == 0) {
                return i + 1;
            }
        }
        throw new CommandError(key + ": a bracket '[' is not closed");
    }

    private static String variable(String value, Variables variables) {
        if (!value.startsWith("&")) {
            return value;
        }
        String found = variables.value(value.substring(1));
        if (found == null) {
            throw new CommandError("the macro has no variable '" + value.substring(1) + "'");
        }
        return found;
    }
}
