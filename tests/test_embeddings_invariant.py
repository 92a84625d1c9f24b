"""Properties of the 3D-CNN that hold for any weights and any scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from alsnb.embeddings import ADNet, Weights, downsample, embed, network_layers, preprocess
from alsnb.scan import Scan


@pytest.fixture(scope="module")
def network():
    """Random weights and random running statistics, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ADNet()
        for block in network.embedding:
            torch.nn.init.uniform_(block[1].running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(block[1].running_var, 0.2, 0.6)
    return network.eval()


def scan_in(codes: str = "RAS") -> Scan:
    """One random volume of unlike axes, stored in some orientation."""
    data = np.random.default_rng(3).gamma(2, 40, (50, 61, 44)).astype(np.float32)
    transform = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    affine = np.diag([2.0, 2.5, 3.0, 1.0]) @ inv_ornt_aff(transform, data.shape)
    return Scan("sub-01", Path("sub-01.nii"), apply_orientation(data, transform), affine)


@pytest.mark.parametrize("stored", ["LPI", "ASR", "PIR"])
@pytest.mark.parametrize("orientation", ["PIR", "RAS"])
def test_an_orientation_makes_storage_irrelevant(network, stored, orientation):
    first = embed(scan_in(), network, orientation=orientation)
    second = embed(scan_in(stored), network, orientation=orientation)
    assert first.equals(second)


def test_as_stored_depends_on_storage(network):
    stored = [embed(scan_in(c), network, orientation="as_stored") for c in ("RAS", "PIR")]
    assert not np.allclose(stored[0], stored[1])


def test_pir_puts_left_right_on_the_networks_depth():
    scan = scan_in("LAS")
    # Brightness rises along one world axis only; in RAS data x, y, z are the axes.
    for axis, network_axis, sign in ((0, 0, 1), (1, 1, -1), (2, 2, -1)):
        line = np.arange(1.0, 1 + scan.data.shape[axis])
        ramp = np.broadcast_to(np.moveaxis(line[:, None, None], 0, axis), scan.data.shape)
        turned = Scan("", Path(), scan.to_stored(ramp).astype(np.float32), scan.stored_affine)
        # Without the last planes: scipy's zoom fills some of them with zero (see the oracle).
        volume = preprocess(turned.oriented("PIR"))[0, :70, :90, :90]
        steps = [sign * np.diff(volume, axis=a) for a in range(3)]
        assert (steps[network_axis] >= 0).all() and steps[network_axis].max() > 0
        assert all((steps[a] == 0).all() for a in range(3) if a != network_axis)


@pytest.mark.parametrize("mode", ["running", "batch"])
def test_features_ignore_intensity_scale(network, mode):
    scan = scan_in()
    scaled = Scan(scan.subject, scan.path, scan.stored * 8, scan.stored_affine)
    # A power of two changes no mantissa, so the z-scores agree to rounding of the last bits.
    expected, found = (embed(s, network, batch_norm=mode) for s in (scan, scaled))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_batch_mode_leaves_the_statistics_alone_and_repeats(network):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    first = embed(scan_in(), network, batch_norm="batch")
    assert embed(scan_in(), network, batch_norm="batch").equals(first)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_layers_agree_with_torchs_own_modes(network):
    x = torch.from_numpy(preprocess(scan_in().data))[None]
    with torch.inference_mode():
        dl8 = {mode: network.layers(x, mode)[-1] for mode in ("running", "batch")}
        assert torch.equal(network.f[-1](dl8["running"].flatten(1)), network(x))
        trained = ADNet()
        trained.load_state_dict(network.state_dict())
        # What the released script does: torch's training mode, one scan at a time.
        assert torch.equal(network.f[-1](dl8["batch"].flatten(1)), trained.train()(x))


def test_a_batch_equals_single_scans_with_running_statistics(network):
    rng = np.random.default_rng(4)
    x = torch.from_numpy(rng.normal(size=(3, 1, 73, 96, 96)).astype(np.float32))
    with torch.inference_mode():
        together = network.layers(x)[-1]
        single = torch.cat([network.layers(x[i : i + 1])[-1] for i in range(3)])
    # Same sums, perhaps in another order.
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_auto_orientation_is_that_of_the_weights(network):
    for orientation in ("PIR", "as_stored"):
        network.weights = Weights(orientation=orientation)
        automatic = embed(scan_in("LAS"), network)
        assert automatic.equals(embed(scan_in("LAS"), network, orientation=orientation))
    network.weights = Weights()


def test_series_layout(network):
    series = embed(scan_in(), network)
    assert list(series.index[[0, 255, 256, 511, 512]]) == [
        "dl7_000",
        "dl7_255",
        "dl8_000",
        "dl8_255",
        "prob_ad",
    ]
    assert series.name == "sub-01" and series.dtype == np.float64
    assert (series >= 0).all() and series["prob_ad"] <= 1


def test_layer_table_is_the_published_architecture(network):
    table = network_layers(network)
    # Channels, pooling and the 256 values are those of findings on arXiv:2309.07192's 8 CL model.
    assert list(table["out_channels"]) == [8, 8, 16, 16, 32, 32, 64, 64, 2]
    assert list(table["pool"]) == ["4x4x4", "", "3x3x3", "", "2x2x2", "", "2x2x2", "", ""]
    assert list(table["output_shape"])[6:8] == [(64, 1, 2, 2)] * 2
    assert table["n_parameters"].sum() == sum(p.numel() for p in network.parameters())


def test_downsample_shape_and_copy():
    array = np.ones((96, 96, 73), np.float32)
    out = downsample(array)
    out[:] = 5
    assert out.shape == (73, 96, 96) and (array == 1).all()
