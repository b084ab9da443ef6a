package org.wagiri;

import java.util.Objects;

/**
 * Noise2Inverse: a network that learns to denoise a volume from the noisy scan alone.
 *
 * <p>{@link #split} reconstructs subsets of the views into a work folder, {@link #train} makes a model of them, and {@link
 * #chain} gives the chain that applies it. Each step can be stopped at any time and continued.
 */
public final class N2i {
    private N2i() {}

    /**
     * Splits the views of a scan into interleaved subsets and reconstructs each by itself. The axis is found once, on all
     * views.
     *
     * @param chain must end with a reconstruction
     * @param work folder for the noisy volumes, made if it does not exist
     */
    public static WorkInfo split(
            Context context, Chain chain, Scan scan, String work, SplitOptions options, ProgressListener listener) {
        Objects.requireNonNull(work, "work");
        return Native.n2iSplit(
                context.id(),
                scan.id(),
                chain.id(),
                work,
                options.subsets,
                options.firstRow,
                options.endRow,
                options.resume,
                listener);
    }

    /** What a folder holds that {@link #split} filled. */
    public static WorkInfo work(String folder) {
        Wagiri.load();
        return Native.n2iWork(Objects.requireNonNull(folder, "folder"));
    }

    /**
     * Trains a network on the volumes in a work folder. A checkpoint is kept there, by which {@link TrainOptions#resume} goes
     * on after an end of any kind.
     *
     * @param model file to write; also after the listener has stopped the training
     * @param listener called after each step and within long ones; may be null
     */
    public static TrainSummary train(
            Context context, String work, String model, TrainOptions options, TrainListener listener) {
        Objects.requireNonNull(work, "work");
        Objects.requireNonNull(model, "model");
        return Native.n2iTrain(
                context.id(),
                work,
                model,
                options.words(),
                options.numbers(),
                options.seed,
                options.resume,
                listener);
    }

    /**
     * The chain with {@code recon.n2i} in the place of its reconstruction, which applies a model. The file is read when it runs.
     * To be closed like any.
     */
    public static Chain chain(Chain chain, String model) {
        return Chain.wrap(Native.n2iChain(chain.id(), Objects.requireNonNull(model, "model")));
    }

    /** What is in a model file. */
    public static ModelInfo modelInfo(String model) {
        Wagiri.load();
        return Native.n2iModel(Objects.requireNonNull(model, "model"));
    }
}
