package org.wagiri.fiji;

import ij.IJ;
import java.io.File;
import java.util.List;
import java.util.Locale;
import org.wagiri.Chain;
import org.wagiri.Context;
import org.wagiri.EpochLoss;
import org.wagiri.ErrorCode;
import org.wagiri.N2i;
import org.wagiri.Scan;
import org.wagiri.SplitOptions;
import org.wagiri.TrainListener;
import org.wagiri.TrainOptions;
import org.wagiri.TrainProgress;
import org.wagiri.TrainSummary;
import org.wagiri.WagiriException;
import org.wagiri.WorkInfo;

/** From checked values to a model file, with a line in the Log for every epoch. No window, no dialog. */
final class TrainRunner {
    private static final long INTERVAL_MS = 200;

    private final Values values;
    private final File work;
    private final String model;
    private boolean escaped;
    private long shown;
    private int logged;

    TrainRunner(Values values) {
        this.values = values;
        if (values.text("work").isEmpty()) {
            throw new CommandError(
                    "work: give the folder for the noisy volumes and checkpoints; it is made if it does not exist");
        }
        work = new File(values.text("work"));
        model = values.text("model").isEmpty() ? new File(work, "model.safetensors").getPath() : values.text("model");
    }

    /** True if the noisy volumes are there and no scan is named. */
    static boolean usesWork(Values values) {
        return values.text("path").isEmpty()
                && !values.text("work").isEmpty()
                && new File(values.text("work"), "subset0").isDirectory();
    }

    /** Two pages, the sample slice before and after the network; written anew at each epoch. */
    File preview() {
        return new File(work, "preview.tif");
    }

    /** Whether Escape ended the training. */
    boolean escaped() {
        return escaped;
    }

    /**
     * Splits the scan if there is one, and trains.
     *
     * @param view hears of each step too and may stop the training; may be null
     * @return null if Escape came before the training
     */
    TrainSummary run(TrainListener view) {
        try (Context context = Machine.context(values, "auto")) {
            // Before hours are spent on the subsets.
            TrainOptions options = options(values).check();
            WorkInfo info = usesWork(values) ? N2i.work(work.getPath()) : split(context);
            if (info == null) {
                return null;
            }
            IJ.log("wagiri: training on " + info.subsets() + " volumes of " + info.slices() + " slices, "
                    + info.width() + " x " + info.height() + " pixels");
            return N2i.train(context, work.getPath(), model, options, progress -> step(progress, view));
        } catch (WagiriException e) {
            throw new WagiriException(e.code(), inFieldNames(e.getMessage()));
        }
    }

    private WorkInfo split(Context context) {
        ImageJProgress progress = new ImageJProgress("Reconstructing the subsets");
        try (Chain chain = DenoiserFields.parse(context, values, null);
                Scan scan = chain.open(values.text("path"), ScanFields.options(values))) {
            int first = values.integer("first");
            int last = Rows.last(values, first, scan.info().rows(), "detector rows");
            SplitOptions options =
                    new SplitOptions()
                            .subsets(values.integer("splits"))
                            .rows(first, last + 1)
                            .resume(values.flag("resume"));
            return N2i.split(context, chain, scan, work.getPath(), options, progress);
        } catch (WagiriException e) {
            if (e.code() == ErrorCode.CANCELLED) {
                return null;
            }
            throw e;
        }
    }

    private boolean step(TrainProgress progress, TrainListener view) {
        long now = System.currentTimeMillis();
        if (now - shown >= INTERVAL_MS) {
            shown = now;
            IJ.showStatus("!" + line(progress));
            IJ.showProgress(Math.min((double) progress.step() / progress.steps(), 0.999));
        }
        if (progress.epochDone() && progress.epoch() > logged) {
            logged = progress.epoch();
            List<EpochLoss> history = progress.history();
            IJ.log("wagiri: " + line(history.get(history.size() - 1), progress));
        }
        escaped |= IJ.escapePressed();
        return (view == null || view.step(progress)) && !escaped;
    }

    static String line(TrainProgress progress) {
        String doing = String.format(
                Locale.ROOT, "Training, epoch %d of %d, loss %.4g", progress.epoch(), progress.epochs(), progress.loss());
        return ImageJProgress.line(doing, 0, 0, progress.etaSeconds());
    }

    private static String line(EpochLoss loss, TrainProgress progress) {
        String epoch = String.format(
                Locale.ROOT,
                "epoch %d of %d: training loss %.5g, validation loss %.5g, rate %.3g, %s",
                loss.epoch(),
                progress.epochs(),
                loss.training(),
                loss.validation(),
                loss.learningRate(),
                ImageJProgress.time(loss.seconds()));
        return ImageJProgress.line(epoch, 0, 0, progress.etaSeconds());
    }

    /** What happened, for the Log. */
    String end(TrainSummary done) {
        String so = "trained " + done.history().size() + " epochs on " + done.device() + "; the model is " + model;
        File csv = new File(work, "losses.csv");
        String losses = csv.isFile() ? ", the losses are in " + csv : "";
        switch (done.ended()) {
            case STOPPED:
                return "stopped and saved: " + so + losses + "; the same fields with resume go on";
            case NO_BETTER:
                return so + losses + "; it ended early, for the validation loss got no better";
            case DIVERGED:
                return "stopped, for the training went astray (" + done.reason() + "): " + so + losses;
            default:
                return so + losses;
        }
    }

    static TrainOptions options(Values values) {
        TrainOptions options = TrainOptions.preset(values.text("preset"));
        options.device(values.text("device")).resume(values.flag("resume"));
        // Every preset sees as many slices above as below.
        whole("neighbours", values, n -> options.channels(2 * n + 1));
        whole("width", values, options::baseWidth);
        whole("depth", values, options::depth);
        whole("patch", values, options::patchPx);
        whole("batch", values, options::batch);
        whole("slices", values, options::slicesPerEpoch);
        whole("epochs", values, options::epochs);
        whole("warmup", values, options::warmupSteps);
        whole("held_out", values, options::heldOut);
        whole("patience", values, options::patience);
        whole("seed", values, options::seed);
        real("rate", values, options::learningRate);
        real("clip", values, options::clipNorm);
        real("average", values, options::average);
        real("checkpoint_s", values, options::checkpointSeconds);
        if (!values.isAuto("norm")) {
            options.norm(values.text("norm"));
        }
        if (!values.isAuto("decay")) {
            options.decay(values.text("decay"));
        }
        return options;
    }

    private static void whole(String key, Values values, java.util.function.IntConsumer set) {
        if (!values.isAuto(key)) {
            set.accept(values.integer(key));
        }
    }

    private static void real(String key, Values values, java.util.function.DoubleConsumer set) {
        if (!values.isAuto(key)) {
            set.accept(values.number(key, 0));
        }
    }

    /** The sentences of the library name its options; the user of a dialog knows its fields. */
    static String inFieldNames(String message) {
        return ReconstructRunner.inFieldNames(message)
                .replace("patch_px", "patch")
                .replace("base_width", "width")
                .replace("slices_per_epoch", "slices")
                .replace("learning_rate", "rate")
                .replace("warmup_steps", "warmup")
                .replace("clip_norm", "clip");
    }
}
