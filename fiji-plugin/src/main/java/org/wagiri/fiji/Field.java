package org.wagiri.fiji;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.wagiri.ParamInfo;

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
        FLAG,
        /** Said already: recorded and logged, but not asked for. */
        FIXED
    }

    private static final double INFINITY = Double.POSITIVE_INFINITY;

    final String key;
    final String label;
    final Kind kind;
    final String initial;
    final boolean auto;
    final boolean besidePrevious;
    final List<String> words;
    /** Accepted range of a number, both ends included. */
    private final double low;
    private final double high;

    private Field(
            String key, String label, Kind kind, String initial, boolean auto, boolean beside, String... words) {
        this(key, label, kind, initial, auto, beside, kind == Kind.INTEGER ? 0 : -INFINITY, INFINITY, words);
    }

    private Field(
            String key,
            String label,
            Kind kind,
            String initial,
            boolean auto,
            boolean beside,
            double low,
            double high,
            String... words) {
        this.low = low;
        this.high = high;
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

    /** A value that is settled before the dialog opens. */
    static Field fixed(String key, String label, String value) {
        return new Field(key, label, Kind.FIXED, value, false, false);
    }

    /** The parameter of a stage. Its word for "not said" is its default, also for true and false. */
    static Field of(ParamInfo param) {
        Kind kind;
        List<String> words = new ArrayList<>(param.words());
        switch (param.kind()) {
            case "int":
                kind = Kind.INTEGER;
                break;
            case "float":
                kind = Kind.NUMBER;
                break;
            case "bool":
                kind = Kind.CHOICE;
                Collections.addAll(words, "true", "false");
                break;
            case "choice":
                kind = Kind.CHOICE;
                break;
            default:
                kind = Kind.TEXT;
        }
        if (kind == Kind.CHOICE && param.auto() && !words.contains("auto")) {
            words.add(0, "auto");
        }
        String range = range(param.min(), param.max());
        // Most names tell their unit.
        String unit = param.name().endsWith("_" + param.unit()) ? "" : param.unit();
        String details = unit + (unit.isEmpty() || range.isEmpty() ? "" : ", ") + range;
        String name = Character.toUpperCase(param.name().charAt(0)) + param.name().substring(1);
        return new Field(
                param.name(),
                details.isEmpty() ? name : name + " (" + details + ")",
                kind,
                param.defaultValue(),
                param.auto(),
                false,
                param.min(),
                param.max(),
                words.toArray(new String[0]));
    }

    /** The same field in the row of the one before it. */
    Field beside() {
        return new Field(key, label, kind, initial, auto, true, low, high, words.toArray(new String[0]));
    }

    /** The value in a macro that does not mention the key. */
    String absent() {
        if (kind == Kind.FIXED) {
            return "";
        }
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
                return auto && value.equals("auto") || isInteger(value) && inRange(value)
                        ? null
                        : expected("a whole number" + spoken() + orAuto, value);
            case NUMBER:
                return auto && value.equals("auto") || isNumber(value) && inRange(value)
                        ? null
                        : expected("a number" + spoken() + orAuto, value);
            default:
                return null;
        }
    }

    private String expected(String what, String value) {
        return key + ": expected " + what + " (value = '" + value + "')";
    }

    private boolean inRange(String value) {
        double number = Double.parseDouble(value);
        return number >= low && number <= high;
    }

    private String spoken() {
        if (low == -INFINITY && high == INFINITY) {
            return "";
        }
        if (high == INFINITY) {
            return " of at least " + plain(low);
        }
        return low == -INFINITY ? " of at most " + plain(high) : " from " + plain(low) + " to " + plain(high);
    }

    /** As it stands in a label; empty if any number will do. */
    private static String range(double low, double high) {
        if (low == -INFINITY && high == INFINITY) {
            return "";
        }
        if (high == INFINITY) {
            return "from " + plain(low);
        }
        return low == -INFINITY ? "up to " + plain(high) : plain(low) + " to " + plain(high);
    }

    private static String plain(double number) {
        boolean whole = number == Math.rint(number) && Math.abs(number) < 1e9;
        return whole ? Long.toString((long) number) : Double.toString(number);
    }

    private static boolean isInteger(String value) {
        try {
            Integer.parseInt(value);
            return true;
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
