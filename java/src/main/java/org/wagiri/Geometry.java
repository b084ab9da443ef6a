package org.wagiri;

/** Where the rays are: view angles, rotation axis, pixel size. */
public final class Geometry {
    final double[] anglesRad;
    final double centerPx;
    final double pixelUm;

    /**
     * @param anglesRad one angle per view, radians; positive turns the object counter-clockwise on screen
     * @param centerPx rotation axis; pixel centres are at integers, the first is 0
     * @param pixelUm detector pixel at the sample, micrometres
     */
    public Geometry(double[] anglesRad, double centerPx, double pixelUm) {
        this.anglesRad = anglesRad.clone();
        this.centerPx = centerPx;
        this.pixelUm = pixelUm;
    }

    /** {@code views} angles evenly over half a turn, without the end point. */
    public static Geometry halfTurn(int views, double centerPx, double pixelUm) {
        double[] angles = new double[views];
        for (int i = 0; i < views; i++) {
            angles[i] = Math.PI * i / views;
        }
        return new Geometry(angles, centerPx, pixelUm);
    }

    /** Number of views. */
    public int views() {
        return anglesRad.length;
    }

    /** One angle per view, radians. */
    public double[] anglesRad() {
        return anglesRad.clone();
    }

    /** Rotation axis, px. */
    public double centerPx() {
        return centerPx;
    }

    /** Detector pixel, micrometres. */
    public double pixelUm() {
        return pixelUm;
    }
}
