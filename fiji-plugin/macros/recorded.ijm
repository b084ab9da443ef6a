run("Wagiri Open Scan...", "path=[/data/tooth scan/tooth.h5] show=sinograms last=1 normalize virtual");
run("Wagiri Reconstruct...", "output=[/data/tooth scan/rec] center=296 ring_kernel=7 pixel_um=1.3 open");
