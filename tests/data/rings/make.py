"""Makes the sinograms of this folder: our own with stripes, and what algotom makes of it.

python make.py FOLDER    needs numpy and algotom (tried with 2.4.6 and 1.7.0)

Files are little-endian f32, C order, [view, col]; names say the sizes.
"""

import pathlib
import sys

import algotom.prep.removal as removal
import numpy as np

WHERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def sinogram(views, cols, seed):
    """Discs with noise; a tenth of the columns with an offset, one dead, one fluctuating, six side by side too high."""
    random = np.random.default_rng(seed)
    angle = np.pi * np.arange(views)[:, None] / views
    col = np.arange(cols)[None]
    sino = np.full((views, cols), 0.2)
    for _ in range(12):
        radius = cols * random.uniform(0.03, 0.2)
        centre = cols / 2 + cols * random.uniform(0, 0.3) * np.sin(angle + random.uniform(0, 6))
        chord = np.sqrt(np.clip(radius**2 - (col - centre) ** 2, 0, None)) / cols
        sino += 4 * random.uniform(0.2, 1) * chord
    sino += random.normal(0, 0.01, sino.shape)
    sino += random.normal(0, 0.05, cols) * (random.uniform(size=cols) < 0.1)
    # Not quite constant: the order of equal values differs between programs.
    sino[:, cols // 3] = 0.8 + 1e-3 * np.arange(views) / views
    sino[:, cols // 2 + 3] += random.normal(0, 0.4, views)
    sino[:, cols // 4 : cols // 4 + 6] += 0.3
    return sino.astype(np.float32)


# name, function, arguments; the test holds the same list.
CASES = {
    "sort-21": (removal.remove_stripe_based_sorting, dict(size=21, dim=1)),
    "sort-5": (removal.remove_stripe_based_sorting, dict(size=5, dim=1)),
    "filter-3-21": (removal.remove_stripe_based_filtering, dict(sigma=3, size=21, dim=1)),
    "filter-9-5": (removal.remove_stripe_based_filtering, dict(sigma=9, size=5, dim=1)),
    "large-3-51": (removal.remove_large_stripe, dict(snr=3.0, size=51, drop_ratio=0.1, norm=True)),
    "large-2-21": (removal.remove_large_stripe, dict(snr=2.0, size=21, drop_ratio=0.3, norm=False)),
    "dead-3-51": (removal.remove_dead_stripe, dict(snr=3.0, size=51, residual=True, smooth_strength=10)),
    "dead-2-21": (removal.remove_dead_stripe, dict(snr=2.0, size=21, residual=False, smooth_strength=7)),
    "all-3-51-21": (removal.remove_all_stripe, dict(snr=3.0, la_size=51, sm_size=21, drop_ratio=0.1, dim=1)),
    "all-2-31-5": (removal.remove_all_stripe, dict(snr=2.0, la_size=31, sm_size=5, drop_ratio=0.2, dim=1)),
    "wavelet-fft-5-1-db9": (removal.remove_stripe_based_wavelet_fft, dict(level=5, size=1, wavelet_name="db9")),
    "wavelet-fft-2-3-db5": (removal.remove_stripe_based_wavelet_fft, dict(level=2, size=3, wavelet_name="db5")),
    # Our sinograms are logarithms already.
    "regularize-0.0005-1": (removal.remove_stripe_based_regularization, dict(alpha=0.0005, num_chunk=1, apply_log=False, sort=False)),
    "regularize-0.05-3": (removal.remove_stripe_based_regularization, dict(alpha=0.05, num_chunk=3, apply_log=False, sort=False)),
}


def write(name, sino):
    sino.astype("<f4").tofile(WHERE / f"{name}.f32")


# The first case of each filter on the larger sinogram, the second on the smaller.
seen = {}
for views, cols, seed in ((181, 128, 3), (101, 65, 2)):
    sino = sinogram(views, cols, seed)
    write(f"input-{views}x{cols}", sino)
    for name, (function, arguments) in CASES.items():
        turn = seen.setdefault(function, [])
        if name in turn or len(turn) != (0 if cols == 128 else 1):
            continue
        turn.append(name)
        write(f"{name}-{views}x{cols}", function(sino.astype(np.float64), **arguments))
