run("Wagiri Train Denoiser...", "path=[/data/tooth scan/tooth.h5] work=[/data/tooth scan/n2i] center=296 pixel_um=1.3 neighbours=1 width=8 depth=1 epochs=3 slices=8 patch=32 plot");
run("Wagiri Apply Denoiser...", "path=[/data/tooth scan/tooth.h5] model=[/data/tooth scan/n2i/model.safetensors] output=[/data/tooth scan/clean] open");
