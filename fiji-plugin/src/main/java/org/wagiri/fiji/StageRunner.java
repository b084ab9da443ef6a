package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import org.wagiri.Chain;
import org.wagiri.Context;
import org.wagiri.ErrorCode;
import org.wagiri.RunSummary;
import org.wagiri.Scan;
import org.wagiri.StageInfo;
import org.wagiri.Wagiri;
import org.wagiri.WagiriException;

/** From checked values and an image to a new image. No window, no dialog. */
final class StageRunner {
    private StageRunner() {}

    /** Why a stage cannot run on a stack, or null. */
    static String complaint(StageInfo stage) {
        if (!stage.place().equals("between")) {
            return "stage: " + stage.id() + " stands at the " + stage.place() + " of a chain; use Wagiri Run Chain";
        }
        if (stage.input().equals("counts")) {
            return "stage: " + stage.id() + " takes raw projections with their dark and direct-beam images, which a stack"
                    + " does not hold; use Wagiri Run Chain, or Wagiri Open Scan with show=sinograms normalize";
        }
        return null;
    }

    /** The stage {@code id}, if it can run on a stack. */
    static StageInfo find(Context context, String id) {
        for (StageInfo stage : context.stages()) {
            if (stage.id().equals(id)) {
                String complaint = complaint(stage);
                if (complaint != null) {
                    throw new CommandError(complaint);
                }
                return stage;
            }
        }
        // The library knows the nearest name.
        Chain.parse(context, "'" + id + "'").close();
        throw new CommandError("stage: unknown stage '" + id + "'");
    }

    /** The new image, not shown yet; null if Escape was pressed. */
    static ImagePlus run(Spec spec, Values values, ImagePlus image) {
        String id = values.text("stage");
        try (Context context = Context.create()) {
            Machine.load(context, values.text("plugin"));
            StageInfo stage = find(context, id);
            String complaint = StackScan.complaint(image, stage.input(), id);
            if (complaint != null) {
                throw new CommandError(complaint);
            }
            boolean volume = stage.input().equals("volume");
            try (Chain chain = Chain.parse(context, (volume ? "volume | " : "sinograms | ") + id)) {
                for (Field field : spec.fields) {
                    if (field.kind != Field.Kind.FIXED && !values.text(field.key).equals(field.initial)) {
                        chain.set(id, field.key, values.text(field.key));
                    }
                }
                return run(context, chain, stage, spec, values, image);
            }
        }
    }

    private static ImagePlus run(
            Context context, Chain chain, StageInfo stage, Spec spec, Values values, ImagePlus image) {
        ImageStack[] out = new ImageStack[1];
        try (Scan scan = StackScan.open(image, stage.input())) {
            int planned = chain.slices(context, scan);
            ImageStack labels = image.getStackSize() == planned ? image.getStack() : null;
            RunSummary summary =
                    chain.run(
                            context,
                            scan,
                            (z, pixels, width, height) -> {
                                if (out[0] == null) {
                                    out[0] = new ImageStack(width, height);
                                }
                                out[0].addSlice(labels == null ? null : labels.getSliceLabel(z + 1), pixels);
                            },
                            new ImageJProgress(stage.id()));
            for (String remark : summary.remarks()) {
                IJ.log("wagiri: " + remark);
            }
            ImagePlus made = new ImagePlus(image.getShortTitle() + " " + stage.id(), out[0]);
            boolean known = StackScan.isKnown(scan.info()) || chain.text().contains("pixel_um=");
            if (stage.output().equals(stage.input())) {
                // An unknown size counts as 1 um.
                double before = StackScan.isKnown(scan.info()) ? scan.info().pixelUm() : 1;
                StackScan.calibrateLike(image, made, summary.pixelUm() / before);
            } else if (known) {
                Display.calibrate(made, summary.pixelUm());
            }
            StackScan.setPixels(made, stage.output());
            if (stage.output().equals("sinogram")) {
                StackScan.keepOrigin(image, made);
            }
            made.setProperty(
                    "Info", "wagiri " + Wagiri.version() + "\n" + spec.command + "\n" + spec.describe(values) + "\n");
            Display.setRange(made);
            return made;
        } catch (WagiriException e) {
            if (e.code() == ErrorCode.CANCELLED) {
                return null;
            }
            throw e;
        }
    }
}
