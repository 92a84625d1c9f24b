"""Deep features: layers 7 and 8 of an 8-convolution 3D-CNN, 256 values each.

The network is the "8 CL" model of Turrisi, Verri and Barla (2023, arXiv:2309.07192), trained
to tell Alzheimer's disease from healthy ageing on T1-weighted scans, which section 2.2.2 of
the ALS study uses as a fixed feature extractor ("DL7", "DL8"). It expects whole heads.

Weights are the authors' public file (``"adnet"``), ours trained on simulated heads
(``"simulated"``, see :mod:`alsnb.pretraining`), or a file. None is ever unpickled.

Several workers on one machine are fastest with one torch thread each
(``torch.set_num_threads(1)`` in the worker); on one machine the number of threads changes no
byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pooch
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from scipy import ndimage
from torch import nn
from torch.nn import functional

from alsnb.convolution import (
    Device,
    Precision,
    channels_first,
    convolution,
    convolve_pairs,
    exact,
    one_thread,
    paired,
    torch_device,
    torch_dtype,
)
from alsnb.errors import AlsnbError, ParameterError, ScanError
from alsnb.scan import Scan

BatchNorm = Literal["running", "batch"]

#: Depth, height and width that the network takes.
INPUT_SHAPE = (73, 96, 96)
#: Filters of the eight convolutions.
CHANNELS = (8, 8, 16, 16, 32, 32, 64, 64)
#: Edge of the max-pooling window after each convolution (1: none).
POOLS = (4, 1, 3, 1, 2, 1, 2, 1)
#: Columns of layers 7 and 8, flattened channel, depth, height, width (64 x 1 x 2 x 2).
DL7_NAMES = tuple(f"dl7_{i:03d}" for i in range(256))
DL8_NAMES = tuple(f"dl8_{i:03d}" for i in range(256))

#: The authors' file, github.com/rturrisige/3D_CNN_pretrained_model. It states no licence, so it
#: is fetched on request and never shipped.
ADNET_COMMIT = "ca44bf63f52d11d2fb8e6830bd3cc7dc9845599e"
ADNET_SHA256 = "3e213260259fe819c1e672e4036b5cd1bf779c43c48ee60bea64eb6cedf1a48d"
ADNET_URL = (
    "https://raw.githubusercontent.com/rturrisige/3D_CNN_pretrained_model/"
    f"{ADNET_COMMIT}/AD_pretrained_weights.pt"
)
#: Our weights and the log that reproduces them, in ``alsnb/data``.
SIMULATED_FILE = "simulated_3dcnn.safetensors"
SIMULATED_LOG = "simulated_3dcnn.json"
#: Key of the safetensors header that holds our JSON (one key: the header's order is then fixed).
METADATA_KEY = "alsnb"


@dataclass(frozen=True)
class Weights:
    """Where a network's weights come from.

    Attributes
    ----------
    name : str
        ``"adnet"``, ``"simulated"``, ``"file"``, or ``"untrained"``.
    sha256 : str
        Of the file, hexadecimal; empty when untrained.
    orientation : str
        Orientation in which scans are given to the network unless another is asked for.
    note : str
        What a reader should know, for instance that a file isn't the published one.
    """

    name: str = "untrained"
    sha256: str = ""
    orientation: str = "as_stored"
    note: str = ""


class ADNet(nn.Module):
    """The 8-convolution 3D-CNN of arXiv:2309.07192.

    Eight blocks of 3 x 3 x 3 convolution (padding 1, no bias), batch normalisation, ReLU and,
    after four of them, max-pooling; then one linear layer from 256 values to two classes.
    Parameter names equal those of the authors' file.

    Attributes
    ----------
    weights : Weights
        Provenance of the parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = Weights()
        self.embedding = nn.ModuleList()
        for n_in, n_out, pool in zip((1, *CHANNELS[:-1]), CHANNELS, POOLS, strict=True):
            conv = nn.Conv3d(n_in, n_out, kernel_size=3, padding=1, bias=False)
            # The original pools after the ReLU. Both only compare, so the values are the same
            # to the bit, and the ReLU has 64 times less to do.
            pooling = [nn.MaxPool3d(pool)] if pool > 1 else []
            norm, relu = nn.BatchNorm3d(n_out), nn.ReLU(inplace=True)
            self.embedding.append(nn.Sequential(conv, norm, *pooling, relu))
        self.f = nn.ModuleList([nn.Linear(256, 2)])

    def layers(self, x: torch.Tensor, batch_norm: BatchNorm = "running") -> list[torch.Tensor]:
        """Return the outputs of the eight blocks, whatever mode the module is in.

        Parameters
        ----------
        x : torch.Tensor
            Shape (n, 1, 73, 96, 96), float32, z-scored.
        batch_norm : {"running", "batch"}
            Statistics of the training, or of `x` itself. The stored statistics never change.

        Returns
        -------
        list of torch.Tensor
            Eight tensors; the last two have shape (n, 64, 1, 2, 2).
        """
        outputs = []
        for block in self.embedding:
            for step in block:  # type: ignore[attr-defined]
                if isinstance(step, nn.BatchNorm3d):
                    x = _normalise(x, step, batch_norm)
                else:
                    x = step(x)
            outputs.append(x)
        return outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of control and Alzheimer's disease, with torch's usual modes.

        Parameters
        ----------
        x : torch.Tensor
            Shape (n, 1, 73, 96, 96), float32, z-scored.

        Returns
        -------
        torch.Tensor
            Shape (n, 2), before the softmax.
        """
        for block in self.embedding:
            x = block(x)
        return self.f[-1](x.flatten(1))


def _normalise(x: torch.Tensor, norm: nn.BatchNorm3d, batch_norm: BatchNorm) -> torch.Tensor:
    own = batch_norm == "batch"
    return functional.batch_norm(
        x,
        # Given the running statistics in "batch" mode, torch would update them.
        None if own else norm.running_mean,
        None if own else norm.running_var,
        norm.weight,
        norm.bias,
        training=own,
        eps=norm.eps,
    )


def load_network(weights: str | Path = "simulated", *, cache: str | Path | None = None) -> ADNet:
    """Build the network with trained weights, in evaluation mode.

    Parameters
    ----------
    weights : str or pathlib.Path, default "simulated"
        ``"simulated"`` (shipped), ``"adnet"`` (the authors' file; downloaded once), or the path
        of a ``.safetensors`` or ``.pt`` file with the same layout.
    cache : str or pathlib.Path, optional
        Where a download is kept; by default pooch's ``os_cache("alsnb")``.

    Returns
    -------
    ADNet
        ``network.weights`` says where the parameters come from.

    Raises
    ------
    AlsnbError
        When the download isn't possible; the message says how to give a local file.
    ScanError
        When a file is missing, unreadable, or holds another network (reason ``"weights"``).
    """
    if weights == "simulated":
        with as_file(files("alsnb") / "data" / SIMULATED_FILE) as path:
            return _from_file(path)
    return _from_file(_download(cache) if weights == "adnet" else Path(weights))


def weights_hash(weights: str | Path) -> str:
    """SHA-256 of a set of weights, without downloading or loading it.

    Parameters
    ----------
    weights : str or pathlib.Path
        As for :func:`load_network`.

    Returns
    -------
    str
        64 hexadecimal digits; for ``"adnet"`` the published ones.

    Raises
    ------
    ScanError
        When a file is missing.
    """
    if weights == "adnet":
        return ADNET_SHA256
    if weights == "simulated":
        with as_file(files("alsnb") / "data" / SIMULATED_FILE) as path:
            return _sha256(_existing(path))
    return _sha256(_existing(Path(weights)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _existing(path: Path) -> Path:
    if path.suffix not in (".pt", ".safetensors"):
        raise ScanError(
            "weights",
            "no known weights; give 'simulated', 'adnet', or a .safetensors or .pt file",
            path=path,
        )
    if not path.is_file():
        raise ScanError("weights", "no such weight file", path=path)
    return path


def _download(cache: str | Path | None) -> Path:
    folder = Path(cache) if cache is not None else Path(pooch.os_cache("alsnb"))
    name = f"adnet-{ADNET_COMMIT[:7]}.pt"
    try:
        return Path(pooch.retrieve(ADNET_URL, f"sha256:{ADNET_SHA256}", fname=name, path=folder))
    except Exception as error:  # requests, OSError and pooch's own ValueError on another hash
        raise AlsnbError(
            f"the 3D-CNN weights 'adnet' could not be downloaded from {ADNET_URL} "
            f"({type(error).__name__}: {error}); download the file elsewhere (SHA-256 "
            f"{ADNET_SHA256}) and give its path as the weights, or use the shipped weights "
            "'simulated'"
        ) from error


def _from_file(path: Path) -> ADNet:
    try:
        state, metadata = _read(_existing(path))
    except ScanError:
        raise
    except Exception as error:  # torch and safetensors raise many kinds for damaged files
        raise ScanError(
            "weights",
            f"can't be read as plain tensors ({type(error).__name__}: {error}); get the file anew",
            path=path,
        ) from error
    network = ADNet()
    _check_layout(state, network, path)
    network.load_state_dict(dict(state))
    network.weights = _provenance(path, metadata)
    return network.eval()


def _read(path: Path) -> tuple[Mapping[str, torch.Tensor], dict[str, str]]:
    if path.suffix == ".pt":
        # weights_only refuses every pickled object but tensors and plain containers.
        return torch.load(path, map_location="cpu", weights_only=True), {}
    with safe_open(path, framework="pt") as file:
        header = (file.metadata() or {}).get(METADATA_KEY, "{}")
    metadata = json.loads(header)
    if not isinstance(metadata, dict):
        raise SafetensorError("header metadata is not an object")
    return load_file(path), metadata


def _check_layout(state: object, network: ADNet, path: Path) -> None:
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if not isinstance(state, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise ScanError("weights", "holds no table of tensors (a state dict)", path=path)
    found = {str(name): tuple(value.shape) for name, value in state.items()}
    wrong = [name for name in expected if found.get(name) != expected[name]]
    wrong += [name for name in found if name not in expected]
    if wrong:
        raise ScanError(
            "weights",
            f"is another network: {len(wrong)} tensors are missing, unknown or of another shape, "
            f"first {wrong[0]!r} with {found.get(wrong[0])}, expected {expected.get(wrong[0])}",
            path=path,
        )
    bad = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if bad:
        raise ScanError("weights", f"tensor {bad[0]!r} holds NaN or infinity", path=path)


def _provenance(path: Path, metadata: Mapping[str, str]) -> Weights:
    sha256 = _sha256(path)
    if sha256 == ADNET_SHA256:
        return Weights("adnet", sha256, note=f"the authors' file, commit {ADNET_COMMIT[:7]}")
    orientation = metadata.get("orientation", "as_stored")
    shipped = files("alsnb") / "data" / SIMULATED_FILE
    if shipped.is_file() and weights_hash("simulated") == sha256:
        return Weights("simulated", sha256, orientation, "trained on simulated heads, shipped")
    return Weights("file", sha256, orientation, f"{path.name}: neither the authors' file nor ours")


@lru_cache(maxsize=256)
def _gather_index(n: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxel that each output position of one axis takes, and where scipy fills with zero.

    Both zoom steps are nearest-neighbour and act on each axis by itself, so sending a ramp
    through them yields the index. Rounding puts the last coordinate outside the array for
    some sizes (28, 48, ...), where scipy fills with zero; so does the reference.
    """
    ramp = np.arange(1, n + 1, dtype=np.float64)
    half = ndimage.zoom(ramp, 0.5, order=0)
    index = ndimage.zoom(half, n_out / len(half), order=0).astype(np.intp)
    return np.maximum(index - 1, 0), index == 0


def downsample(array: np.ndarray) -> np.ndarray:
    """Nearest-neighbour zoom by one half, then to 96 x 96 x 73, as one gather.

    Equals ``scipy.ndimage.zoom(zoom(array, 0.5, order=0), ..., order=0)`` bit for bit. The two
    steps matter: one direct zoom takes other voxels.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (i, j, k), each at least 2.

    Returns
    -------
    numpy.ndarray
        Shape (73, 96, 96): axes k, i, j of `array`.
    """
    out_shape = (INPUT_SHAPE[1], INPUT_SHAPE[2], INPUT_SHAPE[0])
    pairs = [_gather_index(n, m) for n, m in zip(array.shape, out_shape, strict=True)]
    out = array[np.ix_(*(index for index, _ in pairs))]
    for axis, (_, fill) in enumerate(pairs):
        if fill.any():
            np.moveaxis(out, axis, 0)[fill] = 0
    return np.ascontiguousarray(out.transpose(2, 0, 1))


def preprocess(array: np.ndarray, *, subject: str = "", path: object = "") -> np.ndarray:
    """Turn a volume into the network's input, as the released preprocessing does.

    The first axis of `array` is resampled to 96, the second to 96 and the third to 73; the
    network then sees them in the order third, first, second. With orientation ``"PIR"`` the
    network's depth therefore runs from left to right over 73 sagittal planes. Voxels are then
    z-scored with mean and (unbiased) standard deviation over the non-zero ones; zeros take part
    in the shift and scaling but not in the statistics.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (i, j, k), real, arbitrary units.
    subject : str, default ""
        For the error.
    path : os.PathLike, default ""
        For the error.

    Returns
    -------
    numpy.ndarray
        Shape (1, 73, 96, 96), float32.

    Raises
    ------
    ScanError
        When the volume is not three-dimensional, or what is left of it has no contrast.
    """
    array = np.asarray(array)
    if array.ndim != 3 or min(array.shape) < 2:
        raise ScanError(
            "not_3d",
            f"has shape {array.shape}; the 3D-CNN takes three axes of 2 voxels or more",
            subject=subject,
            path=path,
        )
    # Order of casts and torch's own statistics, not numpy's: equal to the original to the bit.
    volume = torch.from_numpy(downsample(array).astype(np.float32, copy=False))
    voxels = volume[volume.ne(0)]
    with one_thread():
        mean, sd = voxels.mean(), voxels.std() if len(voxels) > 1 else torch.tensor(0.0)
    if not (torch.isfinite(mean) and torch.isfinite(sd) and sd > 0):
        raise ScanError(
            "no_contrast",
            f"its {len(voxels)} non-zero voxels at the network's resolution have mean "
            f"{float(mean):g} and standard deviation {float(sd):g}, so they can't be z-scored; "
            "exclude the scan or export it again",
            subject=subject,
            path=path,
        )
    return ((volume - mean) / sd)[None].numpy()


def embed(
    scan: Scan,
    network: ADNet,
    *,
    batch_norm: BatchNorm = "running",
    orientation: str = "auto",
    device: Device = "cpu",
    precision: Precision = "full",
) -> pd.Series:
    """Compute layers 7 and 8 of the 3D-CNN for one scan.

    Parameters
    ----------
    scan : Scan
        A whole head; brain-extracted scans are out of the networks' distribution.
    network : ADNet
        From :func:`load_network`.
    batch_norm : {"running", "batch"}, default "running"
        Batch normalisation with the statistics of the training, or with those of this scan, as
        in the released extraction script, which never leaves training mode.
    orientation : str, default "auto"
        Axis codes such as ``"PIR"`` or ``"RAS"`` to which axes are permuted and flipped first,
        ``"as_stored"`` (the released script), or ``"auto"``: what suits the weights, here
        ``network.weights.orientation``. :func:`preprocess` says what each axis becomes.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        Where to run; ``auto`` takes a GPU where there is one.
    precision : {"full", "reduced"}, default "full"
        32-bit floats, or bfloat16 with two to three digits.

    Returns
    -------
    pandas.Series
        ``dl7_000`` to ``dl7_255``, ``dl8_000`` to ``dl8_255`` (non-negative, no unit), and
        ``prob_ad``, the network's probability of (simulated) Alzheimer's disease; float64.

    Raises
    ------
    ParameterError
        When `batch_norm`, `device` or `precision` is none of those, or there is no GPU.
    ScanError
        When the scan has no contrast or the orientation is none.
    """
    if batch_norm not in ("running", "batch"):
        raise ParameterError(f"batch_norm is {batch_norm!r}, expected 'running' or 'batch'")
    if orientation == "auto":
        orientation = network.weights.orientation
    array = preprocess(scan.oriented(orientation), subject=scan.subject, path=scan.path)
    place = torch.device(torch_device(device))
    with exact():
        x = torch.from_numpy(array)[None].to(place, torch_dtype(precision))
        dl7, dl8 = (layer.float().cpu() for layer in _last_layers(network, x, batch_norm))
        probability = network.f[-1](dl8.flatten(1)).softmax(1)[0, 1]
        values = torch.cat([dl7.flatten(), dl8.flatten(), probability[None]])
    index = [*DL7_NAMES, *DL8_NAMES, "prob_ad"]
    return pd.Series(values.numpy().astype(np.float64), index=index, name=scan.subject)


def _last_layers(network: ADNet, x: torch.Tensor, batch_norm: BatchNorm) -> list[torch.Tensor]:
    """Layers 7 and 8, equal to :meth:`ADNet.layers` to rounding in less time.

    The statistics of the training are folded into the convolutions. One scan at a time:
    several at once are slower, because they no longer fit into a CPU's cache.
    """
    x = channels_first(x[0, 0, ..., None])
    outputs = []
    for block, pool in zip(network.embedding, POOLS, strict=True):
        weight, norm = block[0].weight.to(x.device), block[1]  # type: ignore[index]
        bias = weight.new_zeros(len(weight))
        if batch_norm == "running":
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            bias = (norm.bias - norm.running_mean * scale).to(x)
            weight = weight * scale.to(weight).view(-1, 1, 1, 1, 1)
        weight = weight.to(x.dtype).contiguous(memory_format=torch.channels_last_3d)
        if x.shape[1] == 1:
            x = convolve_pairs(functional.pad(x, (0, 0, 0, 0, 1, 1)), *paired(weight, bias))
        else:
            x = convolution(x, weight, bias.to(x.dtype))
        if batch_norm == "batch":
            # Sums over voxels lose digits where torch takes channels as the last axis.
            plain = x.float().contiguous()
            gain, shift = norm.weight.to(x.device), norm.bias.to(x.device)
            own = functional.batch_norm(plain, None, None, gain, shift, True, eps=norm.eps)
            x = own.to(x.dtype)
        x = (functional.max_pool3d(x, pool) if pool > 1 else x).relu_()
        x = x.contiguous(memory_format=torch.channels_last_3d)
        outputs.append(x)
    return outputs[-2:]


def network_layers(network: ADNet) -> pd.DataFrame:
    """Tabulate the network's layers, from the module itself (Figure 1).

    Parameters
    ----------
    network : ADNet
        Any, trained or not.

    Returns
    -------
    pandas.DataFrame
        One row per convolution and the linear layer: ``layer`` (1 to 8 and ``"linear"``),
        ``in_channels``, ``out_channels``, ``kernel``, ``pool`` (window, ``""`` for none),
        ``output_shape`` (channels, depth, height, width after pooling) and ``n_parameters``
        (trained ones, batch normalisation's included).
    """
    with torch.inference_mode():
        outputs = network.layers(torch.zeros(1, 1, *INPUT_SHAPE))
    rows: list[tuple[Any, ...]] = []
    for block, output in zip(network.embedding, outputs, strict=True):
        conv = block[0]  # type: ignore[index]
        pools = [m.kernel_size for m in block.modules() if isinstance(m, nn.MaxPool3d)]
        size, pool = ("x".join(map(str, edges)) for edges in (conv.kernel_size, pools * 3))
        rows.append((conv.in_channels, conv.out_channels, size, pool, tuple(output.shape[1:])))
    linear = network.f[-1]
    rows.append((linear.in_features, linear.out_features, "", "", (linear.out_features,)))
    columns = ["in_channels", "out_channels", "kernel", "pool", "output_shape"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "layer", [*map(str, range(1, len(rows))), "linear"])
    modules = [*network.embedding, linear]
    table["n_parameters"] = [sum(p.numel() for p in m.parameters()) for m in modules]
    return table
