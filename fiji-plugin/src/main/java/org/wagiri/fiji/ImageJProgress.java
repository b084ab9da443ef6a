package org.wagiri.fiji;

import ij.IJ;
import org.wagiri.ProgressListener;

/** Shows progress in ImageJ's window and stops when Escape was pressed. */
final class ImageJProgress implements ProgressListener {
    private static final long INTERVAL_MS = 200;

    private final String doing;
    private long shown;
    private long finished;

    ImageJProgress(String doing) {
        this.doing = doing;
    }

    /** Slices finished so far. */
    long finished() {
        return finished;
    }

    @Override
    public boolean progress(long done, long total, double fraction, double etaSeconds) {
        finished = done;
        long now = System.currentTimeMillis();
        if (now - shown >= INTERVAL_MS) {
            shown = now;
            // The mark keeps ImageJ from replacing the text when the mouse moves.
            IJ.showStatus("!" + line(doing, done, total, etaSeconds));
            IJ.showProgress(Math.min(fraction, 0.999));
        }
        return !IJ.escapePressed();
    }

    static String line(String doing, long done, long total, double etaSeconds) {
        String count = total > 0 ? " " + done + "/" + total : "";
        return doing + count + (Double.isNaN(etaSeconds) ? "" : " (eta " + time(etaSeconds) + ")");
    }

    static String time(double seconds) {
        if (seconds < 99.5) {
            return Math.max(1, Math.round(seconds)) + " s";
        }
        return seconds < 5970 ? Math.round(seconds / 60) + " min" : Math.round(seconds / 3600) + " h";
    }
}
