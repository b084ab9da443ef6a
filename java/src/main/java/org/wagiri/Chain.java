package org.wagiri;

import java.util.Objects;

/**
 * A checked chain of stages, such as {@code raw | normalise | ring.sort kernel_px=5 | recon.fbp center_px=auto}.
 *
 * <p>Thread-safe; a change through {@link #set} does not touch a run that is under way.
 */
public final class Chain extends NativeHandle {
    /** Stands for all rows or an automatic slab height. */
    private static final int AUTO = -1;

    private Chain(long id) {
        super(id);
    }

    /**
     * Parses and checks a chain: one line, or the text of a chain file, a TOML table {@code [[stage]]} for each stage. The
     * first word may tell what the data are: {@code raw}, {@code sinograms} or {@code volume}.
     */
    public static Chain parse(Context context, String text) {
        return new Chain(Native.chainParse(context.id(), text));
    }

    static Chain wrap(long id) {
        return new Chain(id);
    }

    /** Sets a parameter from text: {@code set("recon.fbp", "center_px", "1023.5")}. */
    public Chain set(String stage, String param, String value) {
        Native.chainSet(id(), stage, param, value);
        return this;
    }

    /** The text form, with every parameter that is not at its default. */
    public String text() {
        return Native.chainText(id());
    }

    /** The same as the text of a chain file. */
    public String toToml() {
        return Native.chainToml(id());
    }

    /** What it starts from: {@code counts}, {@code sinogram} or {@code volume}. */
    public String input() {
        return Native.chainInput(id());
    }

    /** What it makes: {@code counts}, {@code sinogram} or {@code volume}. */
    public String output() {
        return Native.chainOutput(id());
    }

    /** The data that it names, or null. */
    public String path() {
        return Native.chainPath(id());
    }

    /** The folder that its {@code write.tiff} names, or null. */
    public String outDir() {
        return Native.chainOutDir(id());
    }

    /** Name of the file of slice {@code z}. */
    public String fileName(int z) {
        return Native.chainFileName(id(), z);
    }

    /** Opens the data that the chain names. */
    public Scan open() {
        return open(null, new ScanOptions());
    }

    /**
     * Opens data of the kind that the chain starts from: raw frames, or images of sinograms or slices. What is given here
     * goes before what stands in the chain, which does not change.
     *
     * @param path may be null if the chain names its data
     */
    public Scan open(String path, ScanOptions options) {
        return Scan.wrap(
                Native.chainOpen(
                        id(),
                        path,
                        options.format,
                        options.dark,
                        options.flat,
                        options.angles,
                        options.dataset,
                        options.firstView,
                        options.endView));
    }

    /** How many slices the chain makes of all of {@code scan}, without reading it. */
    public int slices(Context context, Scan scan) {
        return Native.chainSlices(context.id(), scan.id(), id());
    }

    /** Memory, disk and slabs of a run over all rows. */
    public ChainPlan plan(Context context, Scan scan, ProgressListener listener) {
        return plan(context, scan, AUTO, AUTO, listener);
    }

    /** Memory, disk and slabs of a run over the rows from {@code firstRow} up to, not including, {@code endRow}. */
    public ChainPlan plan(Context context, Scan scan, int firstRow, int endRow, ProgressListener listener) {
        return Native.chainPlan(context.id(), scan.id(), id(), firstRow, endRow, AUTO, listener);
    }

    /** One slice, without writing anything. A chain that ends before the reconstruction gives a sinogram. */
    public Slice preview(Context context, Scan scan, int row, ProgressListener listener) {
        return Native.chainPreview(context.id(), scan.id(), id(), row, listener);
    }

    /** All rows into TIFF files in {@code outDir}, which is made if it does not exist. */
    public RunSummary run(Context context, Scan scan, String outDir, ProgressListener listener) {
        return run(context, scan, outDir, AUTO, AUTO, listener);
    }

    /** The rows from {@code firstRow} up to, not including, {@code endRow} into TIFF files in {@code outDir}. */
    public RunSummary run(
            Context context, Scan scan, String outDir, int firstRow, int endRow, ProgressListener listener) {
        return run(context, scan, outDir, new RunOptions().rows(firstRow, endRow), listener);
    }

    /**
     * Into TIFF files in {@code outDir}, as {@code options} say. The folder also gets {@code wagiri-run.txt}, by which
     * {@link RunOptions#resume} continues the run after it was stopped in any way.
     */
    public RunSummary run(
            Context context, Scan scan, String outDir, RunOptions options, ProgressListener listener) {
        Objects.requireNonNull(outDir, "outDir");
        return Native.chainRun(
                context.id(),
                scan.id(),
                id(),
                outDir,
                options.firstRow,
                options.endRow,
                AUTO,
                options.resume,
                listener);
    }

    /** All rows into a consumer. */
    public RunSummary run(Context context, Scan scan, SliceConsumer consumer, ProgressListener listener) {
        return run(context, scan, consumer, AUTO, AUTO, listener);
    }

    /** The rows from {@code firstRow} up to, not including, {@code endRow} into a consumer. */
    public RunSummary run(
            Context context,
            Scan scan,
            SliceConsumer consumer,
            int firstRow,
            int endRow,
            ProgressListener listener) {
        Objects.requireNonNull(consumer, "consumer");
        return Native.chainRunInto(context.id(), scan.id(), id(), consumer, firstRow, endRow, AUTO, listener);
    }
}
