package org.wagiri;

import java.util.Arrays;
import java.util.Objects;

/**
 * What chains run on: raw frames on disk, which are read by frame or row band and never whole; finished sinograms or slices
 * on disk ({@link Chain#open}); or any of them in memory. Thread-safe.
 */
public final class Scan extends NativeHandle {
    private final ScanInfo info;

    private Scan(long id, ScanInfo info) {
        super(id);
        this.info = info;
    }

    /** Opens a scan; looks at the files to find the format. */
    public static Scan open(String path) {
        return open(path, new ScanOptions());
    }

    /** Opens a scan. */
    public static Scan open(String path, ScanOptions options) {
        Wagiri.load();
        return wrap(
                Native.scanOpen(
                        Objects.requireNonNull(path, "path"),
                        options.format,
                        options.dark,
                        options.flat,
                        options.angles,
                        options.dataset,
                        options.firstView,
                        options.endView));
    }

    /**
     * A scan that is already in memory; the arrays are copied.
     *
     * @param views {@code views * rows * cols} counts
     * @param flats direct-beam images, {@code flats * rows * cols} counts, spread evenly in time over the views
     * @param dark {@code rows * cols} counts without beam
     * @param cols detector columns
     * @param geometry angles and pixel size; its centre is not used
     */
    public static Scan fromArrays(float[] views, float[] flats, float[] dark, int cols, Geometry geometry) {
        Wagiri.load();
        return wrap(Native.scanFromArrays(views, flats, dark, cols, geometry.anglesRad, geometry.pixelUm));
    }

    /**
     * A finished volume that is already in memory, for chains that start with {@code volume}. The voxels are copied, outside
     * the Java heap and beside the memory budget of a {@link Context}.
     *
     * @param slices asked for {@code depth} slices of {@code height * width} values; what it throws comes out unchanged
     * @param pixelUm size of a voxel in micrometres, or NaN if it is unknown
     */
    public static Scan fromVolume(SliceSupplier slices, int depth, int height, int width, double pixelUm) {
        Wagiri.load();
        Objects.requireNonNull(slices, "slices");
        return wrap(Native.scanFromSlices(slices, true, depth, height, width, new double[0], pixelUm));
    }

    /** As above, from one array of whole slices. */
    public static Scan fromVolume(float[] voxels, int height, int width, double pixelUm) {
        int slice = Math.max(1, Math.multiplyExact(height, width));
        if (voxels.length % slice != 0) {
            throw new WagiriException(
                    ErrorCode.INVALID,
                    "voxels: expected whole slices of height x width values (values = " + voxels.length + ", slice = "
                            + slice + ")");
        }
        SliceSupplier slices = z -> Arrays.copyOfRange(voxels, z * slice, (z + 1) * slice);
        return fromVolume(slices, voxels.length / slice, height, width, pixelUm);
    }

    /**
     * Finished sinograms that are already in memory, for chains that start with {@code sinograms}; copied as a volume is.
     *
     * @param sinograms asked for {@code rows} sinograms of {@code geometry.views() * cols} absorbances
     * @param geometry angles and pixel size; its centre is not used
     */
    public static Scan fromSinograms(SliceSupplier sinograms, int rows, int cols, Geometry geometry) {
        Wagiri.load();
        Objects.requireNonNull(sinograms, "sinograms");
        return wrap(
                Native.scanFromSlices(
                        sinograms, false, rows, geometry.views(), cols, geometry.anglesRad, geometry.pixelUm));
    }

    static Scan wrap(long id) {
        try {
            return new Scan(id, Native.scanInfo(id));
        } catch (RuntimeException e) {
            Native.free(id);
            throw e;
        }
    }

    /** Sizes, angles, pixel size. */
    public ScanInfo info() {
        return info;
    }

    /** Projection {@code view} in counts: {@code rows * cols} values. */
    public float[] view(int view) {
        return frame(Native.VIEW, view);
    }

    /** Direct-beam image {@code index} in counts, in order of time. */
    public float[] flat(int index) {
        return frame(Native.FLAT, index);
    }

    /** Image without beam in counts. */
    public float[] dark() {
        return frame(Native.DARK, 0);
    }

    /** Counts of detector row {@code row} in all views: {@code views * cols} values. */
    public float[] sinogram(int row) {
        float[] out = new float[Math.multiplyExact(info.views(), info.cols())];
        Native.scanReadSinogram(id(), row, out);
        return out;
    }

    /**
     * Absorbance ln(I0/I) of projection {@code view}: {@code rows * cols} values. Dead pixels are repaired as for a
     * reconstruction; a black view is returned as it is, for it takes the others to replace it. The first call reads
     * the image without beam and all direct-beam images, which stay in memory until the scan is closed.
     */
    public float[] normalisedView(int view) {
        float[] out = new float[Math.multiplyExact(info.rows(), info.cols())];
        Native.scanNormalisedView(id(), view, out);
        return out;
    }

    /**
     * Absorbance ln(I0/I) of detector row {@code row} in all views: {@code views * cols} values, repaired as for a
     * reconstruction: dead pixels are filled from their neighbours, black views get the mean of the others. The first
     * call looks at up to 32 rows of every view to find the black ones.
     */
    public float[] normalisedSinogram(Context context, int row) {
        float[] out = new float[Math.multiplyExact(info.views(), info.cols())];
        Native.scanNormalisedSinogram(context.id(), id(), row, out);
        return out;
    }

    /**
     * Searches the rotation axis; refuses to guess when the confidence is low.
     *
     * @param method {@code auto}, or one of the methods that the error for an unknown one lists
     */
    public AxisResult findAxis(Context context, String method, ProgressListener listener) {
        return Native.scanFindAxis(context.id(), id(), method, listener);
    }

    private float[] frame(int kind, int index) {
        float[] out = new float[Math.multiplyExact(info.rows(), info.cols())];
        Native.scanReadFrame(id(), kind, index, out);
        return out;
    }
}
