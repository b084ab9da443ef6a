package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** One stage of a chain. */
public final class StageInfo {
    private final String place;
    private final String id;
    private final String summary;
    private final String input;
    private final String output;
    private final List<ParamInfo> params;

    StageInfo(String place, String id, String summary, String input, String output, ParamInfo[] params) {
        this.place = place;
        this.id = id;
        this.summary = summary;
        this.input = input;
        this.output = output;
        this.params = Collections.unmodifiableList(Arrays.asList(params));
    }

    /**
     * {@code start} for what tells where the data come from, {@code end} for what tells what is written, {@code between} for
     * every other stage.
     */
    public String place() {
        return place;
    }

    /** {@code family.method}. */
    public String id() {
        return id;
    }

    /** One line. */
    public String summary() {
        return summary;
    }

    /** What it takes: {@code counts}, {@code sinogram} or {@code volume}. */
    public String input() {
        return input;
    }

    /** What it makes. */
    public String output() {
        return output;
    }

    /** In the order of dialogs. */
    public List<ParamInfo> params() {
        return params;
    }
}
