package org.wagiri;

/** The native methods, one per function of {@code src/jni}. Argument conversion only; no logic on either side. */
final class Native {
    static final int VIEW = 0;
    static final int FLAT = 1;
    static final int DARK = 2;

    private Native() {}

    static native int abiVersion();

    static native String version();

    static native String[] errorTable();

    static native int openHandles();

    static native String[] pluginCheck(String path);

    static native void panicForTest(String text);

    static native void free(long id);

    static native long contextNew(int threads, long memoryBytes, String device);

    static native int contextThreads(long context);

    static native long contextMemoryBytes(long context);

    static native void contextLoadPlugin(long context, String path);

    static native StageInfo[] contextStages(long context);

    static native long scanOpen(
            String path,
            String format,
            String dark,
            String flat,
            String angles,
            String dataset,
            int firstView,
            int endView);

    static native ScanInfo scanInfo(long scan);

    static native long scanFromArrays(
            float[] views, float[] flats, float[] dark, int cols, double[] anglesRad, double pixelUm);

    static native long scanFromSlices(
            SliceSupplier supplier,
            boolean volume,
            int slices,
            int height,
            int width,
            double[] anglesRad,
            double pixelUm);

    static native void scanReadFrame(long scan, int kind, int index, float[] out);

    static native void scanReadSinogram(long scan, int row, float[] out);

    static native void scanNormalisedSinogram(long context, long scan, int row, float[] out);

    static native void scanNormalisedView(long scan, int view, float[] out);

    static native AxisResult scanFindAxis(
            long context, long scan, String method, ProgressListener listener);

    static native long chainParse(long context, String text);

    static native void chainSet(long chain, String stage, String param, String value);

    static native String chainText(long chain);

    static native String chainToml(long chain);

    static native String chainInput(long chain);

    static native String chainOutput(long chain);

    static native String chainPath(long chain);

    static native String chainOutDir(long chain);

    static native String chainFileName(long chain, int z);

    static native int chainSlices(long context, long scan, long chain);

    static native long chainOpen(
            long chain,
            String path,
            String format,
            String dark,
            String flat,
            String angles,
            String dataset,
            int firstView,
            int endView);

    static native ChainPlan chainPlan(
            long context, long scan, long chain, int firstRow, int endRow, int slabRows, ProgressListener listener);

    static native Slice chainPreview(long context, long scan, long chain, int row, ProgressListener listener);

    static native RunSummary chainRun(
            long context,
            long scan,
            long chain,
            String outDir,
            int firstRow,
            int endRow,
            int slabRows,
            boolean resume,
            ProgressListener listener);

    static native RunSummary chainRunInto(
            long context,
            long scan,
            long chain,
            SliceConsumer consumer,
            int firstRow,
            int endRow,
            int slabRows,
            ProgressListener listener);

    static native float[] reconstruct(
            long context,
            float[] sinogram,
            int cols,
            double[] anglesRad,
            double centerPx,
            double pixelUm,
            String filter,
            boolean pad,
            ProgressListener listener);

    static native WorkInfo n2iSplit(
            long context,
            long scan,
            long chain,
            String work,
            int subsets,
            int firstRow,
            int endRow,
            boolean resume,
            ProgressListener listener);

    static native WorkInfo n2iWork(String work);

    static native TrainSummary n2iTrain(
            long context,
            String work,
            String model,
            String[] words,
            double[] numbers,
            long seed,
            boolean resume,
            TrainListener listener);

    static native void n2iCheck(String[] words, double[] numbers, long seed);

    static native long n2iChain(long chain, String model);

    static native ModelInfo n2iModel(String model);
}
