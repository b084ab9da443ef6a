package org.wagiri.fiji;

import org.wagiri.Chain;
import org.wagiri.Context;

/** What training and applying a denoiser have in common: the chain of the reconstruction and where the network runs. */
final class DenoiserFields {
    private static final String CHAIN = "raw | normalise | ring.sort | recon.fbp";

    private static final String FOURIER = "recon.fourier";

    private DenoiserFields() {}

    static Field chain(String label) {
        return Field.path("chain", label);
    }

    static Field center() {
        return Field.numberOrAuto("center", "Center (column, px; auto = as the chain says)");
    }

    static Field pixel() {
        return Field.numberOrAuto("pixel_um", "Pixel_um (at the sample)").beside();
    }

    static Field device() {
        return Field.choice("device", "Device (of the network)", "auto", "cpu", "cuda", "wgpu");
    }

    /** The chain that the fields say; {@code otherwise} is that of a model, or null. */
    static Chain parse(Context context, Values values, String otherwise) {
        String text = values.text("chain");
        Chain chain = ChainRunner.parse(context, !text.isEmpty() ? text : otherwise == null ? CHAIN : otherwise);
        try {
            String recon = chain.text().contains(FOURIER) ? FOURIER : "recon.fbp";
            if (!values.isAuto("center")) {
                chain.set(recon, "center_px", values.text("center"));
            }
            if (!values.isAuto("pixel_um")) {
                chain.set(recon, "pixel_um", values.text("pixel_um"));
            }
            return chain;
        } catch (RuntimeException e) {
            chain.close();
            throw e;
        }
    }
}
