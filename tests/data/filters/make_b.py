"""Makes the volumes of this folder whose names begin with b-: noise on a ball and a wall, and what SciPy and scikit-image make of it.

python make_b.py FOLDER    needs numpy, scipy, scikit-image and PyWavelets (tried with 2.4.6, 1.17.1, 0.26.0 and 1.8.0)

Files are little-endian f32, C order, [z, y, x]; names say the sizes.
"""

import pathlib
import sys

import numpy as np
import scipy.ndimage as ndimage
from skimage.restoration import denoise_tv_chambolle, denoise_wavelet

WHERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
NOISE = 0.3


def volume(shape):
    random = np.random.default_rng(7)
    z, y, x = np.indices(shape)
    clean = ((x - 11) ** 2 + (y - 10) ** 2 + (2 * (z - 6)) ** 2 < 60) + 0.5 * (x > 20)
    return (clean + random.normal(0, NOISE, shape)).astype(np.float32)


def save(name, values):
    sizes = "x".join(map(str, values.shape))
    values.astype("<f4").tofile(WHERE / f"b-{name}-{sizes}.f32")


EVEN, ODD = volume((12, 20, 28)), volume((11, 19, 27))
save("input", EVEN)
save("input", ODD)
for mode in ["nearest", "reflect", "mirror", "constant"]:
    save(f"gaussian-{mode}", ndimage.gaussian_filter(EVEN.astype(float), [0.75, 1.5, 1.5], mode=mode, truncate=4))
    if mode != "constant":
        save(f"median-{mode}", ndimage.median_filter(EVEN, [3, 5, 5], mode=mode))
for weight in [0.2, 0.5]:
    # So many iterations that it moves no more.
    found = denoise_tv_chambolle(EVEN.astype(float), weight=weight, eps=1e-14, max_num_iter=20000)
    save(f"tv-{weight}", found)


def haar(values, levels, sigma):
    return denoise_wavelet(
        values.astype(float),
        sigma=sigma,
        wavelet="haar",
        method="BayesShrink",
        mode="soft",
        wavelet_levels=levels,
        rescale_sigma=False,
    )


for levels in [1, 2]:
    save(f"haar-{levels}", haar(EVEN, levels, NOISE))
save("haar-auto-2", haar(EVEN, 2, None))
# One voxel more along an axis is its own.
save("haar-2", haar(ODD, 2, NOISE)[:11, :19, :27])
