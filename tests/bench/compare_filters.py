"""Times filters of volumes against SciPy's and scikit-image's of the same definition, and prints Markdown.

python compare_filters.py WAGIRI [SLICES] [SIZE]    needs numpy, scipy, scikit-image, PyWavelets and tifffile; Linux

Run by hand, on a quiet machine: WAGIRI is the program as `cargo build --release` leaves it. The volume is SLICES slices (64) of
SIZE x SIZE (512), 32-bit, noise on blocks. Times are processor seconds of one thread. Those of wagiri are of the whole program, with
and without the chain `volume | write.tiff` that reads and writes alone; scaled to 512³ voxels they are without it.
"""

import os

for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"

import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np
import scipy
import scipy.ndimage as ndimage
import tifffile
import skimage
from skimage.restoration import denoise_bilateral, denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

WAGIRI = sys.argv[1]
SLICES = int(sys.argv[2]) if len(sys.argv) > 2 else 64
SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 512
TV_ITERATIONS = 100

# Stage, reference, its call, slices of the volume that it gets: slow ones get fewer.
CASES = [
    ("filter.gaussian sigma_px=1 sigma_z_px=1", "gaussian_filter", lambda v: ndimage.gaussian_filter(v, 1.0, mode="nearest"), 64),
    ("filter.gaussian sigma_px=2 sigma_z_px=2", "gaussian_filter", lambda v: ndimage.gaussian_filter(v, 2.0, mode="nearest"), 64),
    ("filter.median size_px=3 depth_px=3", "median_filter", lambda v: ndimage.median_filter(v, 3, mode="nearest"), 16),
    ("filter.median size_px=5 depth_px=5", "median_filter", lambda v: ndimage.median_filter(v, 5, mode="nearest"), 8),
    (
        f"filter.tv lambda=3 iterations={TV_ITERATIONS}",
        "denoise_tv_chambolle",
        lambda v: denoise_tv_chambolle(v, weight=1 / 3, eps=0, max_num_iter=TV_ITERATIONS),
        16,
    ),
    (
        "filter.wavelet shifts=1",
        "denoise_wavelet",
        lambda v: denoise_wavelet(v, wavelet="haar", method="BayesShrink", wavelet_levels=3),
        64,
    ),
    ("filter.wavelet", None, None, 64),
    ("filter.diffusion", None, None, 64),
    (
        "filter.nlm patch_px=1 search_px=3",
        "denoise_nl_means, fast",
        lambda v: denoise_nl_means(v, patch_size=3, patch_distance=3, h=0.2, sigma=0.3, fast_mode=True),
        8,
    ),
    (
        "filter.bilateral size_px=5 depth_px=1 sigma_px=1 sigma=0.6",
        "denoise_bilateral, slice by slice",
        lambda v: [denoise_bilateral(slice, win_size=5, sigma_color=0.6, sigma_spatial=1) for slice in v],
        16,
    ),
    ("filter.bilateral", None, None, 64),
    ("filter.block-matching", None, None, 64),
]


def seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def of_wagiri(chain, folder, work):
    before = seconds(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(dir=work) as out:
        command = [WAGIRI, "run", chain, str(folder), out, "--threads", "1"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return seconds(resource.RUSAGE_CHILDREN) - before


random = np.random.default_rng(1)
blocks = np.indices((SLICES, SIZE, SIZE)).sum(axis=0) // 40 % 2
volume = (blocks + random.normal(0, 0.3, blocks.shape)).astype(np.float32)
with open("/proc/cpuinfo") as info:
    machine = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")
commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
print("# Filters against SciPy and scikit-image\n")
print(f"Written by `tests/bench/compare_filters.py target/release/wagiri {SLICES} {SIZE}`; do not edit. Commit {commit}.")
print(f"Machine: {machine}. SciPy {scipy.__version__}, scikit-image {skimage.__version__}, NumPy {np.__version__}.\n")
print(f"One thread, {SLICES} slices of {SIZE} x {SIZE}, fewer for slow references; core-seconds scaled to 512³ voxels. *Ratio*: how many")
print("times longer the reference takes. Reading and writing alone are taken off, which leaves about ± 1 core-second: ratios of times of")
print("that size say no more than that wagiri is faster. The two-dimensional bilateral filter has no three-dimensional one there.\n")
print("| stage | core-s | reference | core-s | ratio |\n| --- | --- | --- | --- | --- |")
with tempfile.TemporaryDirectory() as work:
    folder = pathlib.Path(work, "in")
    folder.mkdir()
    for i, image in enumerate(volume):
        tifffile.imwrite(folder / f"a{i:05d}.tif", image)
    scale = 512**3 / volume.size
    alone = min(of_wagiri("volume | write.tiff", folder, work) for _ in range(3))
    for stage, name, reference, most in CASES:
        ours = min(of_wagiri(f"volume | {stage} | write.tiff", folder, work) for _ in range(2)) - alone
        line = f"| `{stage}` | {scale * ours:.1f} |"
        if reference is None:
            print(f"{line} | | |", flush=True)
            continue
        part = volume[:most]
        before = seconds(resource.RUSAGE_SELF)
        reference(part)
        theirs = (seconds(resource.RUSAGE_SELF) - before) * 512**3 / part.size
        print(f"{line} {name} | {theirs:.1f} | {theirs / (scale * ours):.1f} |", flush=True)
