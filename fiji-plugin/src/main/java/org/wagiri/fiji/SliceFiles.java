package org.wagiri.fiji;

import ij.ImagePlus;
import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.wagiri.Chain;
import org.wagiri.RunSummary;
import org.wagiri.Wagiri;

/** The slice files that a run left in a folder, finished or stopped. */
final class SliceFiles {
    final List<File> files;
    /** Where the files are. */
    final File folder;
    /** How many there should be. */
    final int planned;
    /** NaN if nobody told. */
    final double pixelUm;
    /** Null if the run was stopped. */
    final RunSummary summary;

    private SliceFiles(File folder, List<File> files, int planned, double pixelUm, RunSummary summary) {
        this.folder = folder;
        this.files = files;
        this.planned = planned;
        this.pixelUm = pixelUm;
        this.summary = summary;
    }

    /**
     * Slices from {@code first} on, of which {@code finished} are done. 16- and 8-bit files need the range of the volume; a
     * run that stops before it is known leaves 32-bit slices in a folder of their own.
     */
    static SliceFiles of(
            Chain chain, String output, int first, int finished, int planned, double pixelUm, RunSummary summary) {
        File folder = new File(output);
        List<File> files = new ArrayList<>();
        for (int z = first; z < first + finished; z++) {
            add(files, new File(folder, chain.fileName(z)));
        }
        if (summary == null && files.isEmpty()) {
            folder = new File(output, "float32");
            for (int z = first; z < first + finished; z++) {
                add(files, new File(folder, String.format(Locale.ROOT, "rec%05d.tif", z)));
            }
        }
        return new SliceFiles(folder, Collections.unmodifiableList(files), planned, pixelUm, summary);
    }

    private static void add(List<File> files, File file) {
        if (file.isFile()) {
            files.add(file);
        }
    }

    boolean stopped() {
        return summary == null;
    }

    /** What happened, for the Log. */
    String end(String done) {
        if (stopped()) {
            return "stopped on Escape: " + files.size() + " of " + planned + " slices are finished and kept in " + folder;
        }
        return done;
    }

    /** A virtual stack over the files, not shown yet. */
    ImagePlus open(Spec spec, Values values, String output) {
        ImagePlus image = new ImagePlus(new File(output).getName(), new SliceFileStack(files));
        if (!Double.isNaN(pixelUm)) {
            Display.calibrate(image, pixelUm);
            image.setProp("wagiri.pixel_um", Double.toString(pixelUm));
        }
        image.setProp("wagiri.output", output);
        image.setProperty(
                "Info", "wagiri " + Wagiri.version() + "\n" + spec.command + "\n" + spec.describe(values) + "\n");
        Display.setRange(image);
        return image;
    }
}
