"""How noisy a scan is: a number of image quality that needs no model of the head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of a normal distribution over its median absolute deviation.
MAD_TO_SD = 1.4826


def noise_sd(data: NDArray[Any], mask: NDArray[Any]) -> float:
    """Estimate the noise inside a mask from second differences along the three axes.

    A second difference x(i-1) - 2 x(i) + x(i+1) removes what is smooth; of white noise it has
    √6 times the standard deviation. The median absolute deviation keeps edges from counting
    much (the idea of Immerkær, Computer Vision and Image Understanding 64:300-302, 1996, in
    three dimensions). Where voxels are coarse, fine anatomy counts as noise too.

    Parameters
    ----------
    data : numpy.ndarray, shape (x, y, z)
        Intensities, units of the scan.
    mask : numpy.ndarray of bool, same shape
        Where to look.

    Returns
    -------
    float
        Standard deviation, units of the scan; NaN where no three voxels in a row are inside.
    """
    values, inside = np.asarray(data, dtype=np.float32), np.asarray(mask, dtype=bool)
    found = []
    for axis in range(3):
        x, m = np.moveaxis(values, axis, 0), np.moveaxis(inside, axis, 0)
        found.append((x[:-2] - 2 * x[1:-1] + x[2:])[m[:-2] & m[1:-1] & m[2:]])
    differences = np.concatenate(found)
    if not len(differences):
        return float("nan")
    spread = np.median(np.abs(differences - np.median(differences)))
    return float(MAD_TO_SD * spread / np.sqrt(6))
