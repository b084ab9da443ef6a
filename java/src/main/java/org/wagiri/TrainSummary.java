package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a training did. The model is written in any case. */
public final class TrainSummary {
    /** Why a training ended. */
    public enum Ended {
        /** All epochs are done. */
        FINISHED,
        /** The validation loss got no better for so many epochs as the patience says. */
        NO_BETTER,
        /** The listener asked to stop. */
        STOPPED,
        /** The loss grew without end; the model is that of the last good checkpoint. */
        DIVERGED
    }

    private final Ended ended;
    private final String reason;
    private final String device;
    private final List<EpochLoss> history;
    private final List<String> remarks;

    TrainSummary(String ended, String reason, String device, double[] losses, String[] remarks) {
        this.ended = Ended.valueOf(ended);
        this.reason = reason;
        this.device = device;
        this.history = EpochLoss.list(losses);
        this.remarks = Collections.unmodifiableList(Arrays.asList(remarks));
    }

    /** Why it ended. */
    public Ended ended() {
        return ended;
    }

    /** What went wrong if it diverged, else empty. */
    public String reason() {
        return reason;
    }

    /** What it ran on, for people. */
    public String device() {
        return device;
    }

    /** All finished epochs, those of an earlier run too. */
    public List<EpochLoss> history() {
        return history;
    }

    /** What a user should know, such as a batch that had to be made smaller. */
    public List<String> remarks() {
        return remarks;
    }
}
