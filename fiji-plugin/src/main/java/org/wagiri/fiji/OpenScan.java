package org.wagiri.fiji;

import ij.IJ;
import ij.ImageListener;
import ij.ImagePlus;
import ij.ImageStack;
import ij.process.ImageProcessor;
import java.io.File;
import org.wagiri.ScanInfo;

/** Opens a scan as a stack of projections or sinograms. */
public final class OpenScan extends Command {
    static final Spec SPEC =
            new Spec(
                    "Wagiri Open Scan...",
                    Help.URL,
                    ScanFields.with(
                            "Path (file; or drop a folder here)",
                            Field.choice("show", "Show", "projections", "sinograms"),
                            Field.integer("first", "First (from 0)", 0),
                            Field.integerOrAuto("last", "Last (included)").beside(),
                            Field.integer("step", "Step", 1).beside(),
                            Field.flag("normalize", "Normalize to absorbance ln(I0/I)", false),
                            Field.flag("virtual", "Virtual (read frames when they are shown)", true)));

    @Override
    Spec spec() {
        return SPEC;
    }

    @Override
    void execute(Spec spec, Values values) {
        if (values.text("path").isEmpty()) {
            throw new CommandError("path: give the file or folder of a scan");
        }
        ScanStack stack = ScanStack.open(values);
        ScanInfo info = stack.info();
        String title = new File(info.path()).getName() + (ScanStack.sinograms(values) ? " sinograms" : " projections");
        boolean virtual = values.flag("virtual");
        ImagePlus image;
        try {
            image = new ImagePlus(title, virtual ? stack : inMemory(stack));
        } finally {
            if (!virtual) {
                stack.close();
            }
        }
        if (image.getStackSize() == 0) {
            IJ.showStatus("!Stopped on Escape; nothing was opened");
            return;
        }
        calibrate(image, info, ScanStack.sinograms(values));
        ScanFields.remember(values, image);
        StackScan.setPixels(image, pixels(values));
        image.setProperty("Info", describe(info) + SPEC.command + "\n" + SPEC.describe(values) + "\n");
        if (virtual) {
            closeWith(image, stack);
        }
        Display.setRange(image);
        for (String line : info.notes()) {
            IJ.log("wagiri: " + line);
        }
        image.show();
    }

    private static ImageStack inMemory(ScanStack from) {
        ImageStack stack = new ImageStack(from.getWidth(), from.getHeight());
        int count = from.getSize();
        for (int n = 1; n <= count; n++) {
            if (IJ.escapePressed()) {
                return new ImageStack(from.getWidth(), from.getHeight());
            }
            ImageProcessor processor = from.getProcessor(n);
            stack.addSlice(from.getSliceLabel(n), processor);
            IJ.showStatus("!Opening " + n + "/" + count);
            IJ.showProgress(n, count);
        }
        return stack;
    }

    /** What a slice of the stack is, for the commands that work on stacks. */
    private static String pixels(Values values) {
        if (!ScanStack.sinograms(values)) {
            return "projections";
        }
        return values.flag("normalize") ? "sinogram" : "counts";
    }

    private static void calibrate(ImagePlus image, ScanInfo info, boolean sinograms) {
        if (Double.isNaN(info.pixelUm())) {
            return;
        }
        Display.calibrate(image, info.pixelUm());
        image.setProp("wagiri.pixel_um", Double.toString(info.pixelUm()));
        // One axis counts views, which have no length.
        ij.measure.Calibration calibration = image.getCalibration();
        if (sinograms) {
            calibration.pixelHeight = 1;
            calibration.setYUnit("view");
        } else {
            calibration.pixelDepth = 1;
            calibration.setZUnit("view");
        }
    }

    private static String describe(ScanInfo info) {
        return "Scan: " + info.path() + "\nFormat: " + info.format() + " " + info.details() + "\nProjections: "
                + info.views() + "\nDetector: " + info.cols() + " x " + info.rows() + "\nI0 frames: " + info.flats()
                + "\n";
    }

    private static void closeWith(ImagePlus image, ScanStack stack) {
        ImagePlus.addImageListener(
                new ImageListener() {
                    @Override
                    public void imageOpened(ImagePlus opened) {}

                    @Override
                    public void imageUpdated(ImagePlus updated) {}

                    @Override
                    public void imageClosed(ImagePlus closed) {
                        if (closed == image) {
                            stack.close();
                            ImagePlus.removeImageListener(this);
                        }
                    }
                });
    }
}
