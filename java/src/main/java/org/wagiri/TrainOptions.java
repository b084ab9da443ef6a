package org.wagiri;

/**
 * How a network is trained. What is not set is as the preset says; a value out of range makes {@link N2i#train} throw with
 * {@link ErrorCode#INVALID}.
 */
public final class TrainOptions {
    /** Stands for the value of the preset. */
    private static final int PRESET = -1;

    private final String preset;
    private String device = "auto";
    private String norm;
    private String decay;
    long seed = PRESET;
    boolean resume;
    private double channels = Double.NaN;
    private double baseWidth = Double.NaN;
    private double depth = Double.NaN;
    private double patchPx = Double.NaN;
    private double batch = Double.NaN;
    private double slicesPerEpoch = Double.NaN;
    private double epochs = Double.NaN;
    private double warmupSteps = Double.NaN;
    private double heldOut = Double.NaN;
    private double patience = Double.NaN;
    private double learningRate = Double.NaN;
    private double clipNorm = Double.NaN;
    private double average = Double.NaN;
    private double checkpointSeconds = Double.NaN;

    private TrainOptions(String preset) {
        this.preset = preset;
    }

    /** Trains on a processor. */
    public static TrainOptions small() {
        return new TrainOptions("small");
    }

    /** For graphics cards. */
    public static TrainOptions large() {
        return new TrainOptions("large");
    }

    /** {@code small} or {@code large}. */
    public static TrainOptions preset(String name) {
        return new TrainOptions(name);
    }

    /** Where to compute: {@code auto}, {@code cpu}, {@code cuda} or {@code wgpu}. */
    public TrainOptions device(String value) {
        device = value;
        return this;
    }

    /** Continues the training that was stopped in the work folder; every other option as it was. */
    public TrainOptions resume(boolean value) {
        resume = value;
        return this;
    }

    /** Slices that the network sees, odd: the slice and as many below as above; 1 is plain 2D. */
    public TrainOptions channels(int value) {
        channels = value;
        return this;
    }

    /** Channels of the network at full size, a multiple of 8. */
    public TrainOptions baseWidth(int value) {
        baseWidth = value;
        return this;
    }

    /** Levels below full size. */
    public TrainOptions depth(int value) {
        depth = value;
        return this;
    }

    /** What follows a convolution: {@code batch}, a normalisation, or {@code none}, a bias. */
    public TrainOptions norm(String value) {
        norm = value;
        return this;
    }

    /** Edge of the square patches, px. */
    public TrainOptions patchPx(int value) {
        patchPx = value;
        return this;
    }

    /** Patches in a step. */
    public TrainOptions batch(int value) {
        batch = value;
        return this;
    }

    /** Patches in an epoch. */
    public TrainOptions slicesPerEpoch(int value) {
        slicesPerEpoch = value;
        return this;
    }

    /** Epochs. */
    public TrainOptions epochs(int value) {
        epochs = value;
        return this;
    }

    /** Largest step size of Adam. */
    public TrainOptions learningRate(double value) {
        learningRate = value;
        return this;
    }

    /** Steps over which the step size grows to it. */
    public TrainOptions warmupSteps(int value) {
        warmupSteps = value;
        return this;
    }

    /** How the step size falls: {@code cosine}, to 0, or {@code constant}, not at all. */
    public TrainOptions decay(String value) {
        decay = value;
        return this;
    }

    /** Gradients with a larger norm are scaled to it; 0 for never. */
    public TrainOptions clipNorm(double value) {
        clipNorm = value;
        return this;
    }

    /** Weight of the old in the running average of the weights, below 1; 0 for no average. */
    public TrainOptions average(double value) {
        average = value;
        return this;
    }

    /** Slices that are kept out of the training, for the validation loss; a quarter of them at most. */
    public TrainOptions heldOut(int value) {
        heldOut = value;
        return this;
    }

    /** Epochs without a better validation loss after which the training ends; 0 for never. */
    public TrainOptions patience(int value) {
        patience = value;
        return this;
    }

    /** Where random numbers start, at least 0. */
    public TrainOptions seed(long value) {
        seed = value;
        return this;
    }

    /** A checkpoint is also written after so many seconds within an epoch. */
    public TrainOptions checkpointSeconds(double value) {
        checkpointSeconds = value;
        return this;
    }

    /** Throws with {@link ErrorCode#INVALID} what {@link N2i#train} would, before there is anything to train on. */
    public TrainOptions check() {
        Wagiri.load();
        Native.n2iCheck(words(), numbers(), seed);
        return this;
    }

    String[] words() {
        return new String[] {preset, device, norm, decay};
    }

    /** In the order of {@code src/jni/denoise.rs}. */
    double[] numbers() {
        return new double[] {
            channels,
            baseWidth,
            depth,
            patchPx,
            batch,
            slicesPerEpoch,
            epochs,
            warmupSteps,
            heldOut,
            patience,
            learningRate,
            clipNorm,
            average,
            checkpointSeconds
        };
    }
}
