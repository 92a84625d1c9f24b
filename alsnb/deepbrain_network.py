"""DeepBrain's published U-Net in torch, without TensorFlow.

DeepBrain (I. Itzcovich, MIT licence, PyPI ``deepbrain`` 0.1) ships its trained network as a
frozen TensorFlow 1 graph. The weights are read from that file in the installed package, which
is never imported (importing it needs TensorFlow), and the same layers are run in torch.
Everything around the network, resizing included, follows the package's ``Extractor.run``.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from skimage.transform import resize as skimage_resize
from torch import nn

from alsnb.convolution import (
    Device,
    Precision,
    channels_first,
    convolution,
    convolve_pairs,
    exact,
    interleaved,
    paired,
    room,
    slab,
    torch_device,
    torch_dtype,
    transpose_into,
)
from alsnb.errors import ScanError
from alsnb.scan import Scan

#: SHA-256 of ``models/graph.pb`` in deepbrain 0.1.
WEIGHTS_SHA256 = "6be50752ff151808dc7f8059fef39852759de8502d831949b40e991502225a2a"
#: Edge of the cube the network was trained on, voxels.
GRID = 128

_ENCODER = ((1, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32))
_UP = ((32, 32), (32, 16), (16, 8))
_DECODER = ((64, 32), (32, 16), (16, 8))


class DeepBrain(nn.Module):
    """The U-Net: three levels of 8, 16 and 32 channels, 171,465 parameters.

    Encoder: two 3³ convolutions with ReLU per level, then 2³ max-pooling; no bottleneck
    convolution. Decoder, per level: transposed 3³ convolution of stride 2 without bias,
    the encoder's level appended, one 3³ convolution with ReLU. At the end a 1³ convolution
    and a sigmoid. The original's dropout acts in training only.

    A new instance has random weights; :func:`load_deepbrain` gives the published ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(nn.Conv3d(i, o, 3, padding=1) for i, o in _ENCODER)
        self.up = nn.ModuleList(nn.ConvTranspose3d(i, o, 3, stride=2, bias=False) for i, o in _UP)
        self.decoder = nn.ModuleList(nn.Conv3d(i, o, 3, padding=1) for i, o in _DECODER)
        self.head = nn.Linear(8, 1)  # the 1³ convolution, as a product over channels
        self.requires_grad_(False)
        # With so few channels, CPUs convolve faster when the channels lie last in memory.
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Brain probability of each voxel.

        Parameters
        ----------
        x : torch.Tensor
            Shape (1, 1, d, h, w), float32 or bfloat16, each size a multiple of 8; intensities
            divided by their largest.

        Returns
        -------
        torch.Tensor
            Shape (1, d, h, w), the type of `x`, 0 to 1.
        """
        planes = [_planes(x, 2**level, channels) for level, channels in enumerate((8, 16, 32))]
        x = self._finest_down(x, planes[0])
        for level in (1, 2):
            x = _convolve(x, self.encoder[2 * level]).relu_()
            x = _convolve(x, self.encoder[2 * level + 1])
            torch.clamp_min(x[0].permute(1, 2, 3, 0), 0, out=planes[level][1:-1, 1])
            x = F.max_pool3d(x, 2).relu_()
        for level, up, layer in zip((2, 1), self.up, self.decoder, strict=False):
            transpose_into(planes[level][1:-1, 0], x, _weight(up))
            x = channels_first(planes[level].flatten(0, 1))
            weight, bias = interleaved(_weight(layer)), _bias(layer)
            x = convolution(x, weight, bias, stride=(2, 1, 1), padding=(0, 1, 1)).relu_()
        transpose_into(planes[0][1:-1, 0], x, _weight(self.up[2]))
        return self._finest_up(planes[0])

    def _finest_down(self, x: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Run the first level, write it to `planes`, and return it pooled."""
        depth = x.shape[2]
        first, second = (paired(_weight(self.encoder[i]), _bias(self.encoder[i])) for i in (0, 1))
        # One channel: first and last in memory are the same, but torch must be told.
        x = channels_first(F.pad(x[0, 0], (0, 0, 0, 0, 2, 2))[..., None])
        pooled = []
        for start in range(0, depth, slab(x)):
            stop = min(start + slab(x), depth)
            y = convolve_pairs(x[:, :, start : stop + 4], *first).relu_()
            if start == 0:
                y[:, :, 0] = 0
            if stop == depth:
                y[:, :, -1] = 0
            y = convolve_pairs(y, *second)
            skip = planes[1 + start : 1 + stop, 1]
            torch.clamp_min(y[0].permute(1, 2, 3, 0), 0, out=skip)
            # Pooling and ReLU only compare: in this order the ReLU has less to do.
            pooled.append(F.max_pool3d(y, 2).relu_())
        return torch.cat(pooled, dim=2)

    def _finest_up(self, planes: torch.Tensor) -> torch.Tensor:
        """Run the last level, to the probability."""
        depth, _, h, w, _ = planes[1:-1].shape
        last = self.decoder[2]
        weight, bias = paired(interleaved(_weight(last)), _bias(last))
        out = room((1, depth, h, w), planes)
        for start in range(0, depth, slab(planes)):
            stop = min(start + slab(planes), depth)
            x = channels_first(planes[start : stop + 2].flatten(0, 1))
            y = convolve_pairs(x, weight, bias, step=2).relu_().permute(0, 2, 3, 4, 1)
            out[:, start:stop] = torch.sigmoid_(self.head(y)[..., 0])
        return out

    def grid_probability(self, scan: Scan | np.ndarray) -> np.ndarray:
        """Brain probability on the network's own grid.

        Parameters
        ----------
        scan : Scan or numpy.ndarray
            A whole head (skull and scalp included); an array of shape (i, j, k), arbitrary
            units, is taken as it is.

        Returns
        -------
        numpy.ndarray
            Shape (128, 128, 128), float32, 0 to 1.

        Raises
        ------
        ScanError
            When no voxel is positive, because intensities are divided by the largest.
        """
        voxels = scan.stored if isinstance(scan, Scan) else scan
        cube = resize(voxels, (GRID, GRID, GRID))
        largest = float(cube.max())
        if not largest > 0:
            raise ScanError(
                "intensity",
                f"its largest intensity is {largest:g}; DeepBrain divides by it and needs positive "
                "intensities; shift the scan so that the background is 0",
                subject=scan.subject if isinstance(scan, Scan) else "",
                path=scan.path if isinstance(scan, Scan) else "",
            )
        cube /= largest
        with exact():
            x = torch.from_numpy(cube)[None, None].to(self.head.weight)
            return self(x)[0].float().cpu().numpy()

    def probability(self, scan: Scan | np.ndarray) -> np.ndarray:
        """Brain probability of each voxel of a scan.

        The axes are taken as stored, as the original does. The network is nearly
        indifferent to it: on two real heads, masks from seven axis orders overlap with the
        mask of the stored order by a Dice of 0.955 to 0.987.

        Parameters
        ----------
        scan : Scan or numpy.ndarray
            A whole head; an array of shape (i, j, k) is taken as it is.

        Returns
        -------
        numpy.ndarray
            The scan's stored shape, float32, 0 to 1.

        Raises
        ------
        ScanError
            When no voxel is positive.
        """
        shape = scan.stored.shape if isinstance(scan, Scan) else scan.shape
        return resize(self.grid_probability(scan), shape)

    def mask(self, scan: Scan | np.ndarray, threshold: float = 0.5) -> np.ndarray:
        """Voxels of a scan whose probability is above a threshold.

        Equals ``probability(scan) > threshold``, but never holds the probability at full
        resolution.

        Parameters
        ----------
        scan : Scan or numpy.ndarray
            A whole head; an array of shape (i, j, k) is taken as it is.
        threshold : float, default 0.5
            Between 0 and 1.

        Returns
        -------
        numpy.ndarray
            The scan's stored shape, bool.

        Raises
        ------
        ScanError
            When no voxel is positive.
        """
        shape = scan.stored.shape if isinstance(scan, Scan) else scan.shape
        cube = self.grid_probability(scan)
        if not cube.min() <= threshold < cube.max():  # where resize clips, which is rare
            return resize(cube, shape) > threshold
        first, second, third = (_axis_matrix(GRID, n) for n in shape)
        cube = _product(third, cube, 2)
        out = np.empty(shape, bool)
        for start in range(0, shape[0], 16):
            part = _product(second, _product(first[start : start + 16], cube, 0), 1)
            np.greater(part, threshold, out=out[start : start + 16])
        return out


def _planes(x: torch.Tensor, step: int, channels: int) -> torch.Tensor:
    """Room for a decoder level's input, shape (d + 2, 2, h, w, channels).

    Each plane is held twice, first what comes up and then the encoder's own, and a
    convolution takes both as twice as many planes: nothing has to be concatenated. The first
    and the last pair are the zeros that pad it.
    """
    d, h, w = (n // step for n in x.shape[2:])
    planes = room((d + 2, 2, h, w, channels), x)
    planes[0] = planes[-1] = 0
    return planes


def _weight(layer: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, layer.weight)


def _bias(layer: nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, layer.bias)


def _convolve(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    return convolution(x, _weight(layer), _bias(layer))


def resize(volume: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize as ``skimage.transform.resize(mode="constant", anti_aliasing=True)`` does.

    Gaussian smoothing and linear interpolation are linear and act on each axis apart, so one
    matrix per axis does both. Each matrix comes from scikit-image itself; results agree
    within float32 rounding (3e-7 of the largest value) at about a fifth of the time.

    Parameters
    ----------
    volume : numpy.ndarray
        Shape (i, j, k).
    shape : tuple of int
        The new shape.

    Returns
    -------
    numpy.ndarray
        Shape `shape`, float32, values within the range of `volume` (and 0, where the
        interpolation reaches beyond the volume's edge).
    """
    out = np.asarray(volume, dtype=np.float32)
    low, high = float(out.min()), float(out.max())
    # The axis that shrinks most goes first: the others then have less to do.
    for axis in np.argsort([new / old for new, old in zip(shape, volume.shape, strict=True)]):
        out = _product(_axis_matrix(volume.shape[axis], shape[axis]), out, axis)
    # scikit-image clips to the input's range, widened by the padding value 0 if that shows.
    if not low <= 0 <= high and out.min() <= 0 <= out.max():
        low, high = min(low, 0.0), max(high, 0.0)
    return np.clip(out, low, high, out=np.ascontiguousarray(out))


def _product(matrix: np.ndarray, volume: np.ndarray, axis: int) -> np.ndarray:
    """Multiply a matrix onto one axis, some rows at a time: its other entries are all 0."""
    shape = list(volume.shape)
    shape[axis] = len(matrix)
    out = np.empty(shape, np.float32)
    for start in range(0, len(matrix), 32):
        rows = matrix[start : start + 32]
        used = np.flatnonzero(rows.any(axis=0))
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        rows = rows[:, low:high]
        if axis == 0:
            part = volume[low:high].reshape(high - low, -1)
            np.matmul(rows, part, out=out[start : start + 32].reshape(len(rows), -1))
        elif axis == 1:
            np.matmul(rows, volume[:, low:high], out=out[:, start : start + 32])
        else:
            np.matmul(volume[..., low:high], rows.T, out=out[..., start : start + 32])
    return out


@lru_cache(maxsize=32)
def _axis_matrix(old: int, new: int) -> np.ndarray:
    identity = np.eye(old)
    matrix = skimage_resize(identity, (new, old), mode="constant", anti_aliasing=True, clip=False)
    return matrix.astype(np.float32)


def weights_path() -> Path:
    """Where the installed package ``deepbrain`` keeps its graph, without importing it.

    Returns
    -------
    pathlib.Path
        ``…/deepbrain/models/graph.pb``.

    Raises
    ------
    ScanError
        When the package is not installed.
    """
    spec = find_spec("deepbrain")
    if spec is None or not spec.submodule_search_locations:
        raise ScanError(
            "weights",
            "DeepBrain's weights are missing: install its package without its dependencies "
            "(pip install --no-deps deepbrain==0.1), or use a given mask",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "models" / "graph.pb"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read the constants of DeepBrain's frozen graph.

    Parameters
    ----------
    path : pathlib.Path
        ``graph.pb``; a protocol buffer, so reading runs no code.

    Returns
    -------
    dict of str to numpy.ndarray
        TensorFlow's name (``conv3d_1/kernel``) to float32 values. Convolution kernels
        have shape (3, 3, 3, in, out), transposed ones (3, 3, 3, out, in).

    Raises
    ------
    ScanError
        When the file is missing or is not the published one, byte for byte.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanError(
            "weights",
            f"DeepBrain's graph can't be read ({error.strerror}); install deepbrain==0.1 anew "
            "(pip install --no-deps --force-reinstall deepbrain==0.1)",
            path=path,
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ScanError(
            "weights",
            f"is not DeepBrain's published graph: SHA-256 {digest}, expected {WEIGHTS_SHA256}; "
            "install deepbrain==0.1 anew "
            "(pip install --no-deps --force-reinstall deepbrain==0.1)",
            path=path,
        )
    from tensorboard.compat.proto import graph_pb2

    graph = graph_pb2.GraphDef()
    graph.ParseFromString(content)
    weights = {}
    for node in graph.node:
        if node.op != "Const" or not node.name.endswith(("/kernel", "/bias")):
            continue
        tensor = node.attr["value"].tensor
        values = np.frombuffer(tensor.tensor_content, dtype="<f4")
        if values.size == 0:  # single values are stored in a field of their own
            values = np.array(tensor.float_val, dtype=np.float32)
        weights[node.name] = values.reshape([axis.size for axis in tensor.tensor_shape.dim])
    return weights


@lru_cache(maxsize=4)
def _load(path: Path, device: str, precision: str) -> DeepBrain:
    weights = read_weights(path)

    def tensor(name: str) -> torch.Tensor:
        values = weights[name]
        # (d, h, w, in, out) to torch's (out, in, d, h, w); for transposed ones likewise.
        return torch.tensor(values.transpose(4, 3, 0, 1, 2) if values.ndim == 5 else values)

    def layer(prefix: str, index: int) -> str:
        return f"{prefix}_{index}" if index else prefix  # TensorFlow leaves out the first's 0

    state = {
        "head.weight": torch.tensor(weights["conv3d_9/kernel"].reshape(1, 8)),
        "head.bias": tensor("conv3d_9/bias"),
    }
    for index in range(9):
        name = f"encoder.{index}" if index < 6 else f"decoder.{index - 6}"
        state[f"{name}.weight"] = tensor(layer("conv3d", index) + "/kernel")
        state[f"{name}.bias"] = tensor(layer("conv3d", index) + "/bias")
    for index in range(3):
        state[f"up.{index}.weight"] = tensor(layer("conv3d_transpose", index) + "/kernel")
    network = DeepBrain()
    network.load_state_dict(state, strict=True)
    return network.eval().to(torch.device(device), torch_dtype(precision))


def load_deepbrain(
    path: str | Path | None = None, *, device: Device = "cpu", precision: Precision = "full"
) -> DeepBrain:
    """Load the U-Net with DeepBrain's published weights, once per process.

    Parameters
    ----------
    path : str, pathlib.Path or None, optional
        ``graph.pb``; by default the installed package's.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        Where to run; ``auto`` takes a GPU where there is one.
    precision : {"full", "reduced"}, default "full"
        32-bit floats, or bfloat16: on a CPU that has it about 0.55 times the time, with
        probabilities changed by up to 0.1 and, on the network's own grid, about 300 of two
        million voxels of the mask.

    Returns
    -------
    DeepBrain
        In evaluation mode. Uses as many threads as torch is set to; their number changes
        no value.

    Raises
    ------
    ScanError
        When the weights are missing or not the published ones.
    ParameterError
        When `device` or `precision` is none, or there is no GPU to take.
    """
    torch_dtype(precision)
    path = weights_path() if path is None else Path(path)
    return _load(path, torch_device(device), precision)
