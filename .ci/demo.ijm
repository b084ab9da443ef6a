// The demo: one menu command turns the raw frames of the tooth scan into 32-bit TIFF slices. The argument is the folder
// of the repository.
root = getArgument();
run("Wagiri Reconstruct...", "path=[" + root + "/tests/data/tooth/tooth.h5] output=[" + root + "/out/demo/rec] open");
print("ImageJ: '" + getTitle() + "', " + nSlices + " slices of " + getWidth() + " x " + getHeight());
