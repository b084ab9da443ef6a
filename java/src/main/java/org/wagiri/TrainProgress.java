package org.wagiri;

import java.util.List;

/** How far a training is. */
public final class TrainProgress {
    private final int epoch;
    private final int epochs;
    private final long step;
    private final long steps;
    private final double loss;
    private final double learningRate;
    private final boolean epochDone;
    private final double elapsedSeconds;
    private final double etaSeconds;
    private final double[] losses;

    TrainProgress(
            int epoch,
            int epochs,
            long step,
            long steps,
            double loss,
            double learningRate,
            boolean epochDone,
            double elapsedSeconds,
            double etaSeconds,
            double[] losses) {
        this.epoch = epoch;
        this.epochs = epochs;
        this.step = step;
        this.steps = steps;
        this.loss = loss;
        this.learningRate = learningRate;
        this.epochDone = epochDone;
        this.elapsedSeconds = elapsedSeconds;
        this.etaSeconds = etaSeconds;
        this.losses = losses;
    }

    /** Epoch under way, from 1. */
    public int epoch() {
        return epoch;
    }

    /** Epochs in all. */
    public int epochs() {
        return epochs;
    }

    /** Steps done, by an earlier run too if this one continues it. */
    public long step() {
        return step;
    }

    /** Steps in all. */
    public long steps() {
        return steps;
    }

    /** Loss of the last step, the mean squared error of the normalised values. */
    public double loss() {
        return loss;
    }

    /** Step size. */
    public double learningRate() {
        return learningRate;
    }

    /** True if an epoch has just ended: its losses are the last of {@link #history}. */
    public boolean epochDone() {
        return epochDone;
    }

    /** Seconds of training, stops not counted. */
    public double elapsedSeconds() {
        return elapsedSeconds;
    }

    /** Estimated seconds left, or NaN while there is nothing to estimate from. */
    public double etaSeconds() {
        return etaSeconds;
    }

    /** All finished epochs, those of an earlier run too. */
    public List<EpochLoss> history() {
        return EpochLoss.list(losses);
    }
}
