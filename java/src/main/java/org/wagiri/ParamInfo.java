package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** One parameter of a stage. */
public final class ParamInfo {
    private final String name;
    private final String kind;
    private final List<String> words;
    private final String unit;
    private final String defaultValue;
    private final double min;
    private final double max;
    private final boolean auto;
    private final String help;

    ParamInfo(
            String name,
            String kind,
            String[] words,
            String unit,
            String defaultValue,
            double min,
            double max,
            boolean auto,
            String help) {
        this.name = name;
        this.kind = kind;
        this.words = Collections.unmodifiableList(Arrays.asList(words));
        this.unit = unit;
        this.defaultValue = defaultValue;
        this.min = min;
        this.max = max;
        this.auto = auto;
        this.help = help;
    }

    /** Name with its unit: {@code pixel_um}. */
    public String name() {
        return name;
    }

    /** {@code int}, {@code float}, {@code bool}, {@code choice} or {@code text}. */
    public String kind() {
        return kind;
    }

    /** The accepted words of a choice; else empty. */
    public List<String> words() {
        return words;
    }

    /** {@code px}, {@code um}, {@code deg}, ... or empty. */
    public String unit() {
        return unit;
    }

    /** Used where the user says nothing; {@code auto} where wagiri finds the value. */
    public String defaultValue() {
        return defaultValue;
    }

    /** Smallest accepted number, or minus infinity. */
    public double min() {
        return min;
    }

    /** Largest accepted number, or infinity. */
    public double max() {
        return max;
    }

    /** The word {@code auto} is accepted too. */
    public boolean auto() {
        return auto;
    }

    /** One sentence. */
    public String help() {
        return help;
    }
}
