package org.wagiri;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Losses of a finished epoch: mean squared errors of the normalised values. */
public final class EpochLoss {
    private static final int NUMBERS = 6;

    private final int epoch;
    private final long steps;
    private final double training;
    private final double validation;
    private final double learningRate;
    private final double seconds;

    private EpochLoss(double[] numbers, int from) {
        epoch = (int) numbers[from];
        steps = (long) numbers[from + 1];
        training = numbers[from + 2];
        validation = numbers[from + 3];
        learningRate = numbers[from + 4];
        seconds = numbers[from + 5];
    }

    static List<EpochLoss> list(double[] numbers) {
        List<EpochLoss> list = new ArrayList<>();
        for (int i = 0; i + NUMBERS <= numbers.length; i += NUMBERS) {
            list.add(new EpochLoss(numbers, i));
        }
        return Collections.unmodifiableList(list);
    }

    /** From 1. */
    public int epoch() {
        return epoch;
    }

    /** Steps done at its end. */
    public long steps() {
        return steps;
    }

    /** Mean over its steps. */
    public double training() {
        return training;
    }

    /** On the slices that are kept out. */
    public double validation() {
        return validation;
    }

    /** Step size at its end. */
    public double learningRate() {
        return learningRate;
    }

    /** Seconds of training until its end, stops not counted. */
    public double seconds() {
        return seconds;
    }
}
