package org.wagiri.fiji;

import ij.CompositeImage;
import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.measure.Calibration;
import ij.process.ImageProcessor;
import java.util.Arrays;
import org.wagiri.ErrorCode;
import org.wagiri.Geometry;
import org.wagiri.Scan;
import org.wagiri.ScanInfo;
import org.wagiri.SliceSupplier;
import org.wagiri.WagiriException;

/** A stack of ImageJ as chains take it: the slices of a volume, or sinograms. Reads the stack, never writes to it. */
final class StackScan {
    private static final String PIXELS = "wagiri.pixels";

    private StackScan() {}

    /** Remembers what the slices of a stack are. */
    static void setPixels(ImagePlus image, String pixels) {
        image.setProp(PIXELS, pixels);
    }

    /** Null if {@code image} can be used as {@code pixels}, or the sentence that tells why not; {@code what} takes it. */
    static String complaint(ImagePlus image, String pixels, String what) {
        String takes = what + " takes " + named(pixels);
        if (image == null) {
            return takes + "; activate a stack that holds some";
        }
        String has = image.getProp(PIXELS);
        if (has != null && !has.equals(pixels)) {
            return takes + ", but the active stack holds " + named(has);
        }
        if (image.getType() == ImagePlus.COLOR_RGB || image.getType() == ImagePlus.COLOR_256) {
            return takes + " of 8, 16 or 32 bits, but the active stack is in colour";
        }
        if (image instanceof CompositeImage || image.getNChannels() > 1 || image.getNFrames() > 1) {
            return takes + ", but the active stack has several channels or frames; make it a plain stack";
        }
        return null;
    }

    private static String named(String pixels) {
        switch (pixels) {
            case "volume":
                return "the slices of a volume";
            case "sinogram":
                return "sinograms in absorbance";
            case "counts":
                return "sinograms in counts";
            default:
                return pixels;
        }
    }

    /** Copies the stack to where chains can use it. Escape ends that as it ends a run. */
    static Scan open(ImagePlus image, String pixels) {
        ImageStack stack = image.getStack();
        int width = stack.getWidth();
        int height = stack.getHeight();
        int count = stack.getSize();
        float[] table = image.getCalibration().getCTable();
        SliceSupplier slices =
                z -> {
                    if (IJ.escapePressed()) {
                        throw new WagiriException(ErrorCode.CANCELLED, "cancelled");
                    }
                    if (z % 16 == 0) {
                        IJ.showStatus("!Reading " + (z + 1) + "/" + count);
                        IJ.showProgress(0.999 * z / count);
                    }
                    ImageProcessor processor = stack.getProcessor(z + 1);
                    processor.setCalibrationTable(table);
                    return (float[]) processor.convertToFloatProcessor().getPixels();
                };
        double pixelUm = pixelUm(image);
        if (pixels.equals("volume")) {
            return Scan.fromVolume(slices, count, height, width, pixelUm);
        }
        return Scan.fromSinograms(slices, count, width, new Geometry(angles(image, height), 0, pixelUm));
    }

    /** The angles of the scan that the sinograms are of, or an even half turn. */
    private static double[] angles(ImagePlus image, int views) {
        for (String kind : new String[] {ScanFields.SCAN, ScanFields.ORIGIN}) {
            Values values = ScanFields.of(image, kind);
            if (values != null) {
                try (Scan scan = ScanFields.open(values)) {
                    double[] angles = scan.info().anglesRad();
                    if (angles.length == views) {
                        return angles;
                    }
                } catch (WagiriException e) {
                    IJ.log("wagiri: " + e.getMessage());
                }
            }
        }
        IJ.log("wagiri: angles unknown: even over 180 degrees taken");
        return Geometry.halfTurn(views, 0, 1).anglesRad();
    }

    /** The width of a pixel; NaN if it has none in a unit of length. */
    static double pixelUm(ImagePlus image) {
        Calibration calibration = image.getCalibration();
        switch (calibration.getXUnit()) {
            case "\u00b5m":
            case "\u03bcm":
            case "um":
            case "micron":
            case "microns":
                return calibration.pixelWidth;
            case "mm":
                return 1e3 * calibration.pixelWidth;
            case "cm":
                return 1e4 * calibration.pixelWidth;
            case "nm":
                return 1e-3 * calibration.pixelWidth;
            default:
                return Double.NaN;
        }
    }

    /**
     * The same place in space for an image made from another one: its calibration, with pixels {@code factor} times as
     * large. Where the size has changed the origin is not known any more.
     */
    static void calibrateLike(ImagePlus from, ImagePlus image, double factor) {
        Calibration calibration = from.getCalibration().copy();
        calibration.disableDensityCalibration();
        calibration.pixelWidth *= factor;
        calibration.pixelHeight *= factor;
        calibration.pixelDepth *= factor;
        int[] before = Arrays.copyOf(from.getDimensions(), 4);
        if (!Arrays.equals(before, Arrays.copyOf(image.getDimensions(), 4))) {
            calibration.xOrigin = 0;
            calibration.yOrigin = 0;
            calibration.zOrigin = 0;
        }
        image.setCalibration(calibration);
    }

    /** Sinograms keep the angles of their scan. */
    static void keepOrigin(ImagePlus from, ImagePlus image) {
        for (String kind : new String[] {ScanFields.ORIGIN, ScanFields.SCAN}) {
            Values values = ScanFields.of(from, kind);
            if (values != null) {
                ScanFields.remember(values, image, ScanFields.ORIGIN);
            }
        }
    }

    /** Whether the size of a pixel is more than a guess. */
    static boolean isKnown(ScanInfo info) {
        return !Double.isNaN(info.pixelUm());
    }
}
