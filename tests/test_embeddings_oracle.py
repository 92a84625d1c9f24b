"""The 3D-CNN's layers and its input equal what the originals make of the same arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from alsnb.convolution import one_thread
from alsnb.embeddings import (
    ADNET_SHA256,
    DL7_NAMES,
    DL8_NAMES,
    downsample,
    embed,
    load_network,
    preprocess,
)
from alsnb.scan import load_scan

#: The reference table's names of the two modes.
MODES = {"running": "eval", "batch": "batch_statistics"}


def two_zooms(array: np.ndarray) -> np.ndarray:
    half = ndimage.zoom(array, 0.5, order=0)
    factors = [m / n for m, n in zip((96, 96, 73), half.shape, strict=True)]
    return ndimage.zoom(half, factors, order=0).transpose(2, 0, 1)


def shapes() -> list[tuple[int, int, int]]:
    """Grids of real and simulated scans, sizes at which scipy fills with zero, random ones."""
    rng = np.random.default_rng(0)
    common = [(288, 288, 181), (181, 217, 181), (91, 109, 91), (256, 256, 166), (192, 192, 160)]
    filled = [(28, 48, 30), (32, 96, 48), (64, 64, 96), (2, 3, 5), (512, 512, 20)]
    return [*common, *filled, *(tuple(int(n) for n in rng.integers(2, 300, 3)) for _ in range(25))]


@pytest.mark.parametrize("shape", shapes(), ids=str)
def test_one_gather_equals_scipys_two_zooms_bit_for_bit(shape):
    # No zero inside, so that a zero in the output can only be scipy's filling.
    array = np.random.default_rng(1).uniform(1, 2, shape).astype(np.float32)
    np.testing.assert_array_equal(downsample(array), two_zooms(array))


def test_some_sizes_are_filled_with_zero_as_scipy_does():
    # Guards the test above: without such a size the filling would never be exercised.
    assert (downsample(np.ones((48, 50, 50), np.float32)) == 0).any()


def test_z_score_equals_the_released_one():
    rng = np.random.default_rng(2)
    array = rng.gamma(2, 50, (60, 70, 80)).astype(np.float32)
    array[:20] = 0
    tensor = torch.from_numpy(np.ascontiguousarray(two_zooms(array)))
    inside = tensor[tensor != 0]
    # Equality: the same torch reductions over the same values in the same order.
    with one_thread():
        expected = (tensor - inside.mean()) / inside.std()
    np.testing.assert_array_equal(preprocess(array)[0], expected.numpy())


@pytest.fixture(scope="module")
def parity(test_data):
    """Ours and the reference on 30 real scans, both modes, arrays as stored."""
    network = load_network(test_data / "weights" / "AD_pretrained_weights.pt")
    assert network.weights.sha256 == ADNET_SHA256
    paths = sorted((test_data / "ds002748-30").glob("sub-*/anat/*_T1w.nii.gz"))
    assert len(paths) == 30
    ours: dict[str, list[pd.Series]] = {mode: [] for mode in MODES}
    for path in paths:
        scan = load_scan(path, path.name.split("_")[0])
        for mode in MODES:
            ours[mode].append(embed(scan, network, batch_norm=mode, orientation="as_stored"))
    table = pd.read_csv(test_data / "reference" / "adnet" / "embeddings_ds002748-30.csv")
    table = table.set_index(["mode", "participant_id"])
    return {m: (pd.DataFrame(ours[m]), table.loc[name]) for m, name in MODES.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("names", [DL7_NAMES, DL8_NAMES], ids=["dl7", "dl8"])
def test_layers_equal_the_original_on_30_real_scans(parity, mode, names):
    ours, reference = parity[mode]
    reference = reference.loc[ours.index, list(names)]
    largest = np.abs(ours[list(names)] - reference).to_numpy().max()
    # Demanded is 1e-4 of the layer's largest value; measured 6e-7 (running) and 6e-6 (batch),
    # float32 rounding. 2e-5 leaves room for another processor's order of sums.
    assert largest <= 2e-5 * reference.to_numpy().max()


@pytest.mark.parametrize("mode", MODES)
def test_probability_equals_the_original(parity, mode):
    ours, reference = parity[mode]
    # A probability from the above; measured 1e-6.
    np.testing.assert_allclose(ours["prob_ad"], reference.loc[ours.index, "prob_ad"], atol=2e-5)


def test_the_two_modes_differ(parity):
    # Guards against one mode being silently the other: their DL8 differ by whole units.
    running, batch = (parity[m][0][list(DL8_NAMES)].to_numpy() for m in MODES)
    assert np.abs(running - batch).max() > 0.1 * np.abs(running).max()
