package org.wagiri;

/** Hears how far a training is. Called on the thread that made the call, after each step and within long ones. */
@FunctionalInterface
public interface TrainListener {
    /**
     * @return {@code false} to stop: checkpoint and model are written, and the call returns with {@link
     *     TrainSummary.Ended#STOPPED}. An exception thrown here stops it too, and comes out of the call unchanged.
     */
    boolean step(TrainProgress progress);
}
