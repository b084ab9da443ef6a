"""Makes the volumes of this folder: our own with noise, and what scikit-image makes of it.

python make.py FOLDER    needs numpy and scikit-image (tried with 0.26.0)

Files are little-endian f32, C order, [z, y, x]; names say the sizes.
"""

import pathlib
import sys

import numpy as np
from skimage.restoration import denoise_bilateral

WHERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
SHAPE = (11, 20, 23)
SIGMA = 0.1


def volume():
    """Balls of 0.3 to 1 in 0, with noise."""
    random = np.random.default_rng(4)
    places = np.stack(np.indices(SHAPE), -1)
    clean = np.zeros(SHAPE)
    for _ in range(14):
        distance = np.linalg.norm(places - random.uniform(0, SHAPE), axis=-1)
        clean[distance < random.uniform(2, 5)] = random.uniform(0.3, 1)
    return (clean + random.normal(0, SIGMA, SHAPE)).astype(np.float32)


def write(name, values):
    size = "x".join(str(n) for n in SHAPE)
    values.astype("<f4").tofile(WHERE / f"{name}-{size}.f32")


noisy = volume()
write("input", noisy)
# In two dimensions only, and of values from 0 on. All places weigh the same: scikit-image's weights over the distance are not
# centred, as its grid of distances has one point too many.
positive = (noisy - noisy.min()).astype(np.float64)
each = [
    denoise_bilateral(image, win_size=5, sigma_color=2 * SIGMA, sigma_spatial=1e6, bins=10**6, mode="edge")
    for image in positive
]
write("bilateral-5-1-1e6-0.2", np.stack(each) + noisy.min())
