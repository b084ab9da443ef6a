run("Wagiri Run Chain...", "chain=[raw | normalise | ring.sort | recon.fbp center_px=296 pixel_um=1.3] input=[/data/tooth scan/tooth.h5] output=[/data/tooth scan/rec] set=recon.fbp.filter=ramp;ring.sort.kernel_px=7 open");
run("Wagiri Stage...", "stage=filter.median size_px=5");
