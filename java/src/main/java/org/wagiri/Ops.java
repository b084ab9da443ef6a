package org.wagiri;

/** Array functions. */
public final class Ops {
    private Ops() {}

    /**
     * Filtered back-projection of one sinogram.
     *
     * @param sinogram {@code views * cols} absorbances ln(I0/I)
     * @param geometry angles, axis, pixel size
     * @param filter {@code ramp}, {@code shepp-logan} or {@code chesler}
     * @param pad extend views that are cut off at the edge of the detector
     * @param listener may be null
     * @return {@code cols * cols} linear attenuation coefficients in 1/cm
     */
    public static float[] reconstruct(
            Context context,
            float[] sinogram,
            Geometry geometry,
            String filter,
            boolean pad,
            ProgressListener listener) {
        int views = geometry.views();
        if (views == 0 || sinogram.length == 0 || sinogram.length % views != 0) {
            throw new WagiriException(
                    ErrorCode.INVALID,
                    "reconstruct: the sinogram must hold views x cols values (values = "
                            + sinogram.length + ", views = " + views + ")");
        }
        return Native.reconstruct(
                context.id(),
                sinogram,
                sinogram.length / views,
                geometry.anglesRad,
                geometry.centerPx,
                geometry.pixelUm,
                filter,
                pad,
                listener);
    }
}
