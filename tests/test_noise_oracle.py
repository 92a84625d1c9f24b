"""The noise of a scan, against noise that was put in."""

from __future__ import annotations

import numpy as np
import pytest

from alsnb.noise import noise_sd


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_white_noise_on_a_smooth_image_is_measured(sd):
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*[np.linspace(0, 1, 40)] * 3, indexing="ij")
    image = 100 + 20 * x - 10 * y + 5 * z**2 + rng.normal(0, sd, x.shape)
    mask = (x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.5) ** 2 < 0.2
    # About 60 000 differences, MAD's efficiency 37 %, neighbours correlated: within 2 %.
    assert noise_sd(image, mask) == pytest.approx(sd, rel=0.02)


def test_an_edge_hardly_counts_and_a_plane_not_at_all():
    ramp = np.fromfunction(lambda i, j, k: 3 * i + 2 * j - k, (12, 12, 12))
    assert noise_sd(ramp, np.ones_like(ramp)) == pytest.approx(0, abs=1e-5)  # float32
    assert noise_sd(np.where(ramp > 20, 100.0, 0.0), np.ones_like(ramp)) == 0


def test_outside_the_mask_nothing_counts():
    image = np.zeros((9, 9, 9))
    image[:4] = np.random.default_rng(0).normal(size=(4, 9, 9))
    mask = np.zeros(image.shape)
    mask[5:] = 1
    assert noise_sd(image, mask) == 0
    assert np.isnan(noise_sd(image, np.zeros_like(mask)))
