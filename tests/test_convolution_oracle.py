"""The rearranged convolutions give torch's own sums, and DeepBrain's network is the plain U-Net."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alsnb import convolution, deepbrain_network
from alsnb.embeddings import embed, load_network
from alsnb.errors import ParameterError
from alsnb.scan import Scan, load_scan

#: float32 sums of up to 64 x 27 products of unit variance in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def scaled(*shape: int) -> torch.Tensor:
    """A kernel whose outputs have about unit variance."""
    return random(*shape, seed=1) / float(np.sqrt(np.prod(shape[1:])))


@torch.inference_mode()
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 8), (8, 8), (5, 3)])
def test_convolving_in_pairs_equals_torchs_convolution(n_in: int, n_out: int) -> None:
    planes = random(9, 6, 10, n_in)
    weight, bias = scaled(n_out, n_in, 3, 3, 3), random(n_out)
    x = convolution.channels_first(planes)
    found = convolution.convolve_pairs(x, *convolution.paired(weight, bias))
    expected = F.conv3d(x.contiguous(), weight, bias, padding=(0, 1, 1))
    torch.testing.assert_close(found, expected, **TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("depth", [3, 8, 11])
@pytest.mark.parametrize(("n_in", "n_out"), [(16, 8), (3, 5)])
def test_writing_a_transposed_convolution_equals_torchs(n_in: int, n_out: int, depth: int) -> None:
    # Deeper than a slab (4 coarse planes), and not a multiple of it.
    x, weight = random(1, n_in, depth, 5, 6), scaled(n_in, n_out, 3, 3, 3)
    expected = F.conv_transpose3d(x, weight, stride=2)[0, :, :-1, :-1, :-1]
    room = torch.full((2 * depth, 2, 10, 12, n_out), float("nan"))
    out = room[:, 0]  # not contiguous, as the network's planes are
    convolution.transpose_into(out, x.contiguous(memory_format=torch.channels_last_3d), weight)
    torch.testing.assert_close(out.permute(3, 0, 1, 2), expected, **TOLERANCE)
    assert room[:, 1].isnan().all(), "nothing else was written"


@torch.inference_mode()
def test_interleaved_planes_equal_concatenated_channels() -> None:
    up, skip = random(7, 6, 5, 4), random(7, 6, 5, 4, seed=2)
    weight = scaled(3, 8, 3, 3, 3)
    both = torch.cat([up, skip], dim=-1).permute(3, 0, 1, 2)[None]
    expected = F.conv3d(both, weight, padding=(0, 1, 1))
    planes = convolution.channels_first(torch.stack([up, skip], dim=1).flatten(0, 1))
    found = F.conv3d(planes, convolution.interleaved(weight), stride=(2, 1, 1), padding=(0, 1, 1))
    torch.testing.assert_close(found, expected, **TOLERANCE)


def plain(network: deepbrain_network.DeepBrain, x: torch.Tensor) -> torch.Tensor:
    """The published layers, as torch spells them."""
    levels: list[torch.Tensor] = []
    for level in range(3):
        x = F.max_pool3d(levels[-1], 2) if levels else x
        for layer in network.encoder[2 * level : 2 * level + 2]:
            x = layer(x).relu()
        levels.append(x)
    x = F.max_pool3d(x, 2)
    for up, layer, skip in zip(network.up, network.decoder, reversed(levels), strict=True):
        x = layer(torch.cat([up(x)[:, :, :-1, :-1, :-1], skip], dim=1)).relu()
    return torch.sigmoid(network.head(x.permute(0, 2, 3, 4, 1))[..., 0])


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(40, 24, 32), (8, 16, 8), (24, 8, 40)])
def test_the_network_in_slabs_equals_the_plain_one(shape: tuple[int, ...]) -> None:
    network = deepbrain_network.load_deepbrain()
    x = random(1, 1, *shape).abs() / 4
    # Probabilities; 5e-6 seen on a real head.
    torch.testing.assert_close(network(x), plain(network, x), rtol=0, atol=2e-5)


def test_the_number_of_threads_changes_no_byte() -> None:
    voxels = np.random.default_rng(0).gamma(2, 50, (40, 50, 60)).astype(np.float32)
    scan = Scan("sub-1", "", voxels, np.eye(4))  # type: ignore[arg-type]
    adnet, before = load_network("simulated"), torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            probability = deepbrain_network.load_deepbrain().grid_probability(voxels)
            layers = [embed(scan, adnet, batch_norm=mode) for mode in ("running", "batch")]
            made.append([probability.tobytes(), *(x.to_numpy().tobytes() for x in layers)])
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]


def test_reduced_precision_is_near_and_leaves_the_full_one_alone(test_data) -> None:
    scan = load_scan(test_data / "reference" / "deepbrain" / "colin27_ch2.nii.gz")
    full = deepbrain_network.load_deepbrain()
    before = full.grid_probability(scan)
    reduced = deepbrain_network.load_deepbrain(precision="reduced").grid_probability(scan)
    # bfloat16 has 8 bits of mantissa: 0.09 and 292 of two million voxels seen.
    assert 1e-3 < np.abs(reduced - before).max() < 0.3
    assert ((reduced > 0.5) != (before > 0.5)).sum() < 1000
    np.testing.assert_array_equal(full.grid_probability(scan), before)


def test_reduced_precision_of_deep_features_is_near() -> None:
    voxels = np.random.default_rng(0).gamma(2, 50, (60, 60, 60)).astype(np.float32)
    scan = Scan("sub-1", "", voxels, np.eye(4))  # type: ignore[arg-type]
    network = load_network("simulated")
    for mode in ("running", "batch"):
        full, reduced = (
            embed(scan, network, batch_norm=mode, precision=p).to_numpy()
            for p in ("full", "reduced")
        )
        # Two to three digits: 1e-2 of the largest value seen on a real scan.
        assert 0 < np.abs(reduced - full).max() < 0.05 * full.max()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without() -> None:
    with pytest.raises(ParameterError, match="no GPU"):
        deepbrain_network.load_deepbrain(device="cuda")
    assert convolution.torch_device("auto") == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_a_gpu_gives_the_cpus_values() -> None:
    voxels = np.random.default_rng(0).gamma(2, 50, (60, 60, 60)).astype(np.float32)
    cpu, cuda = (deepbrain_network.load_deepbrain(device=d) for d in ("cpu", "cuda"))
    # float32 without TF32, summed in another order.
    difference = cpu.grid_probability(voxels) - cuda.grid_probability(voxels)
    assert np.abs(difference).max() < 1e-4
    scan = Scan("sub-1", "", voxels, np.eye(4))  # type: ignore[arg-type]
    network = load_network("simulated")
    for mode in ("running", "batch"):
        one, other = (embed(scan, network, batch_norm=mode, device=d) for d in ("cpu", "cuda"))
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_unknown_devices_and_precisions_are_refused() -> None:
    with pytest.raises(ParameterError, match="'cpu', 'cuda' or 'auto'"):
        deepbrain_network.load_deepbrain(device="gpu")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'full' or 'reduced'"):
        deepbrain_network.load_deepbrain(precision="half")  # type: ignore[arg-type]
