package org.wagiri.fiji;

import ij.ImagePlus;
import ij.VirtualStack;
import ij.io.Opener;
import ij.process.ImageProcessor;
import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A volume over the slice files in a folder; a slice is read when it is shown. */
final class SliceFileStack extends VirtualStack {
    private final List<File> files;

    /** All files must exist and be of one size. */
    SliceFileStack(List<File> files) {
        this(files, read(files.get(0)));
    }

    private SliceFileStack(List<File> files, ImagePlus first) {
        super(first.getWidth(), first.getHeight(), files.size());
        this.files = Collections.unmodifiableList(new ArrayList<>(files));
        setBitDepth(first.getBitDepth());
    }

    @Override
    public ImageProcessor getProcessor(int n) {
        ImageProcessor processor;
        try {
            processor = read(files.get(n - 1)).getProcessor();
        } catch (CommandError e) {
            processor = Display.unreadable(getWidth(), getHeight(), getBitDepth(), e);
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
        return files.get(n - 1).getName();
    }

    @Override
    public String getFileName(int n) {
        return files.get(n - 1).getName();
    }

    @Override
    public String getDirectory() {
        return files.get(0).getParent() + File.separator;
    }

    /** The beginning of the names of the files, by which they can be opened as a volume; null if others begin so too. */
    String series() {
        File first = files.get(0);
        String name = first.getName().replaceFirst("\\d+\\.tif$", "");
        String[] all = first.getParentFile().list((folder, other) -> other.startsWith(name) && other.endsWith(".tif"));
        return all != null && all.length == files.size() ? new File(first.getParentFile(), name).getPath() : null;
    }

    @Override
    public int size() {
        return files.size();
    }

    @Override
    public int getSize() {
        return files.size();
    }

    private static ImagePlus read(File file) {
        Opener opener = new Opener();
        opener.setSilentMode(true);
        ImagePlus image = file.isFile() ? opener.openTiff(file.getParent() + File.separator, file.getName()) : null;
        if (image == null) {
            throw new CommandError("cannot read the slice " + file + "; was it moved or deleted?");
        }
        return image;
    }
}
