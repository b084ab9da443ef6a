package org.wagiri.fiji;

import ij.IJ;
import org.wagiri.Chain;
import org.wagiri.Context;
import org.wagiri.ErrorCode;
import org.wagiri.ModelInfo;
import org.wagiri.N2i;
import org.wagiri.RunOptions;
import org.wagiri.RunSummary;
import org.wagiri.Scan;
import org.wagiri.WagiriException;

/** From checked values to denoised slice files. No window, no dialog. */
final class ApplyRunner {
    private ApplyRunner() {}

    static SliceFiles run(Values values, ImageJProgress progress) {
        String output = values.text("output");
        String file = values.text("model");
        if (file.isEmpty()) {
            throw new CommandError("model: give the file that Wagiri Train Denoiser wrote");
        }
        if (output.isEmpty()) {
            throw new CommandError("output: give the folder for the slices; it is made if it does not exist");
        }
        ModelInfo model = N2i.modelInfo(file);
        try (Context context = Machine.context(values, "auto");
                Chain plain = DenoiserFields.parse(context, values, model.about().get("chain"));
                Chain chain = N2i.chain(plain, file);
                Scan scan = chain.open(values.text("path"), ScanFields.options(values))) {
            chain.set("recon.n2i", "device", values.text("device"));
            chain.set("write.tiff", "type", ReconstructRunner.type(values.text("type")));
            chain.set("write.tiff", "min", values.text("min"));
            chain.set("write.tiff", "max", values.text("max"));
            IJ.log("wagiri: chain " + chain.text());
            int first = values.integer("first");
            int last = Rows.last(values, first, scan.info().rows(), "detector rows");
            RunSummary summary = null;
            try {
                RunOptions options = new RunOptions().rows(first, last + 1).resume(values.flag("resume"));
                summary = chain.run(context, scan, output, options, progress);
            } catch (WagiriException e) {
                if (e.code() != ErrorCode.CANCELLED) {
                    throw e;
                }
            }
            boolean known = StackScan.isKnown(scan.info()) || chain.text().contains("pixel_um=");
            double pixelUm = !known ? Double.NaN : summary == null ? scan.info().pixelUm() : summary.pixelUm();
            int finished = summary == null ? (int) progress.finished() : summary.slices();
            return SliceFiles.of(chain, output, first, finished, last + 1 - first, pixelUm, summary);
        } catch (WagiriException e) {
            throw new WagiriException(e.code(), ReconstructRunner.inFieldNames(e.getMessage()));
        }
    }
}
