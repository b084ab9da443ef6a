package org.wagiri.fiji;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** One field of a command: the dialog, the macro keys, the checks and the Recorder all come from this. */
final class Field {
    /** What is accepted. */
    enum Kind {
        TEXT,
        PATH,
        FOLDER,
        CHOICE,
        INTEGER,
        NUMBER,
        FLAG
    }

    final String key;
    final String label;
    final Kind kind;
    final String initial;
    final boolean auto;
    final boolean besidePrevious;
    final List<String> words;

    private Field(
            String key, String label, Kind kind, String initial, boolean auto, boolean beside, String... words) {
        this.key = key;
        this.label = label;
        this.kind = kind;
        this.initial = initial;
        this.auto = auto;
        this.besidePrevious = beside;
        this.words = Collections.unmodifiableList(Arrays.asList(words));
    }

    static Field text(String key, String label) {
        return new Field(key, label, Kind.TEXT, "", false, false);
    }

    static Field path(String key, String label) {
        return new Field(key, label, Kind.PATH, "", false, false);
    }

    static Field folder(String key, String label) {
        return new Field(key, label, Kind.FOLDER, "", false, false);
    }

    /** The first word is the default. */
    static Field choice(String key, String label, String... words) {
        return new Field(key, label, Kind.CHOICE, words[0], false, false, words);
    }

    static Field integer(String key, String label, int initial) {
        return new Field(key, label, Kind.INTEGER, Integer.toString(initial), false, false);
    }

    static Field integerOrAuto(String key, String label) {
        return new Field(key, label, Kind.INTEGER, "auto", true, false);
    }

    static Field number(String key, String label, String initial) {
        return new Field(key, label, Kind.NUMBER, initial, false, false);
    }

    static Field numberOrAuto(String key, String label) {
        return new Field(key, label, Kind.NUMBER, "auto", true, false);
    }

    /** {@code on} is the state in a fresh dialog; in a macro an absent flag is always off. */
    static Field flag(String key, String label, boolean on) {
        return new Field(key, label, Kind.FLAG, Boolean.toString(on), false, false);
    }

    /** The same field in the row of the one before it. */
    Field beside() {
        return new Field(key, label, kind, initial, auto, true, words.toArray(new String[0]));
    }

    /** The value in a macro that does not mention the key. */
    String absent() {
        return kind == Kind.FLAG ? "false" : initial;
    }

    /** Returns the sentence that tells what is wrong with a value, or null. */
    String complaint(String value) {
        String orAuto = auto ? " or auto" : "";
        switch (kind) {
            case CHOICE:
                return words.contains(value) ? null : expected("one of " + String.join(", ", words), value);
            case FLAG:
                return value.equals("true") || value.equals("false") ? null : expected("true or false", value);
            case INTEGER:
                return auto && value.equals("auto") || isInteger(value)
                        ? null
                        : expected("a whole number of at least 0" + orAuto, value);
            case NUMBER:
                return auto && value.equals("auto") || isNumber(value) ? null : expected("a number" + orAuto, value);
            default:
                return null;
        }
    }

    private String expected(String what, String value) {
        return key + ": expected " + what + " (value = '" + value + "')";
    }

    private static boolean isInteger(String value) {
        try {
            return Integer.parseInt(value) >= 0;
        } catch (NumberFormatException e) {
            return false;
        }
    }

    private static boolean isNumber(String value) {
        try {
            double number = Double.parseDouble(value);
            return !Double.isNaN(number) && !Double.isInfinite(number) && !value.toLowerCase(Locale.ROOT).matches(".*[dfx]");
        } catch (NumberFormatException e) {
            return false;
        }
    }
}
