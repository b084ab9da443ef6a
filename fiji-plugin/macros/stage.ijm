// Single stages on the active stack, each into a new one, which is active then.
run("Wagiri Stage...", "stage=filter.median size_px=3 depth_px=1");
run("Wagiri Stage...", "stage=volume.bin");
