package org.wagiri.fiji;

import ij.VirtualStack;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import org.wagiri.Context;
import org.wagiri.Scan;
import org.wagiri.ScanInfo;
import org.wagiri.WagiriException;

/** The projections or the sinograms of a scan; a frame is read when it is shown. Never writes to the scan. */
final class ScanStack extends VirtualStack {
    private final Values values;
    private final boolean sinograms;
    private final boolean normalize;
    private final int first;
    private final int step;
    private final int count;
    private final ScanInfo info;
    private Scan scan;

    private ScanStack(Values values, Scan scan, int first, int step, int count, int width, int height) {
        super(width, height, count);
        this.values = values;
        this.sinograms = sinograms(values);
        this.normalize = values.flag("normalize");
        this.first = first;
        this.step = step;
        this.count = count;
        this.info = scan.info();
        this.scan = scan;
        setBitDepth(32);
    }

    static ScanStack open(Values values) {
        int first = values.integer("first");
        int step = values.integer("step");
        Scan scan = ScanFields.open(values);
        try {
            ScanInfo info = scan.info();
            int available = sinograms(values) ? info.rows() : info.views();
            String what = sinograms(values) ? "detector rows" : "projections";
            int last = Rows.last(values, first, available, what);
            if (step < 1) {
                throw new CommandError("step: expected a whole number of at least 1 (value = '" + step + "')");
            }
            int height = sinograms(values) ? info.views() : info.rows();
            return new ScanStack(values, scan, first, step, (last - first) / step + 1, info.cols(), height);
        } catch (RuntimeException e) {
            scan.close();
            throw e;
        }
    }

    ScanInfo info() {
        return info;
    }

    /** Closes the files; the next look at a slice opens them again. */
    synchronized void close() {
        if (scan != null) {
            scan.close();
            scan = null;
        }
    }

    @Override
    public ImageProcessor getProcessor(int n) {
        ImageProcessor processor;
        try {
            processor = new FloatProcessor(getWidth(), getHeight(), read(index(n)));
        } catch (WagiriException e) {
            processor = Display.unreadable(getWidth(), getHeight(), 32, e);
        }
        processor.setSliceNumber(n);
        return processor;
    }

    @Override
    public Object getPixels(int n) {
        return getProcessor(n).getPixels();
    }

    @Override
    public String getSliceLabel(int n) {
        int index = index(n);
        if (sinograms) {
            return "row " + index;
        }
        return String.format(java.util.Locale.ROOT, "view %d, %.3f deg", index, Math.toDegrees(info.anglesRad()[index]));
    }

    @Override
    public int size() {
        return count;
    }

    @Override
    public int getSize() {
        return count;
    }

    private int index(int n) {
        return first + (n - 1) * step;
    }

    private synchronized float[] read(int index) {
        if (scan == null) {
            scan = ScanFields.open(values);
        }
        if (sinograms) {
            return normalize ? normalisedSinogram(index) : scan.sinogram(index);
        }
        return normalize ? scan.normalisedView(index) : scan.view(index);
    }

    /** A stack lives as long as its window: it should not keep threads. */
    private float[] normalisedSinogram(int index) {
        try (Context context = Context.create()) {
            return scan.normalisedSinogram(context, index);
        }
    }

    static boolean sinograms(Values values) {
        return values.text("show").equals("sinograms");
    }
}
