"""Three-dimensional convolutions of few channels, fast on a CPU, with torch's own values.

torch's convolutions of 8 to 32 channels spend most of their time around the arithmetic: on
fresh memory, on concatenations, on vectors half filled, and on a slow path for inputs that
look small. What is here gives the same sums in another arrangement. It works on any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from alsnb.errors import ParameterError

Device = Literal["cpu", "cuda", "auto"]
Precision = Literal["full", "reduced"]


def torch_device(device: str) -> str:
    """Say which device a name stands for on this machine.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        ``auto`` takes a GPU where torch sees one.

    Returns
    -------
    str
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ParameterError
        When the name is none, or a GPU is asked for and there is none.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise ParameterError(f"device is {device!r}, expected 'cpu', 'cuda' or 'auto'")
    if device == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device is 'cuda', but torch sees no GPU here; choose cpu or auto")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def torch_dtype(precision: str) -> torch.dtype:
    """Say which numbers a precision stands for.

    Parameters
    ----------
    precision : {"full", "reduced"}
        32-bit floats, or bfloat16 (8 bits of mantissa).

    Returns
    -------
    torch.dtype
        ``torch.float32`` or ``torch.bfloat16``.

    Raises
    ------
    ParameterError
        When the name is none.
    """
    if precision not in ("full", "reduced"):
        raise ParameterError(f"precision is {precision!r}, expected 'full' or 'reduced'")
    return torch.float32 if precision == "full" else torch.bfloat16


@contextmanager
def exact() -> Iterator[None]:
    """No gradients, and on a GPU no TF32, which would halve the digits of 32-bit floats."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread: its sums over a whole tensor depend on how many share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def room(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Room for a large tensor; numpy asks for huge pages, which torch does not by default.

    Parameters
    ----------
    shape : tuple of int
        The shape wanted.
    like : torch.Tensor
        Gives type (float32 or bfloat16) and device.

    Returns
    -------
    torch.Tensor
        Uninitialised.
    """
    if like.device.type != "cpu":
        return torch.empty(shape, dtype=like.dtype, device=like.device)
    room = np.empty(shape, np.float32 if like.dtype == torch.float32 else np.int16)
    return torch.from_numpy(room).view(like.dtype)


def channels_first(x: torch.Tensor) -> torch.Tensor:
    """View (d, h, w, channels) as torch has it, the memory as it is.

    Parameters
    ----------
    x : torch.Tensor
        Shape (d, h, w, channels).

    Returns
    -------
    torch.Tensor
        Shape (1, channels, d, h, w).
    """
    return x.permute(3, 0, 1, 2)[None]


def convolution(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    stride: tuple[int, int, int] = (1, 1, 1),
    padding: tuple[int, int, int] = (1, 1, 1),
) -> torch.Tensor:
    """Convolve by oneDNN, which torch itself leaves aside for "small" inputs.

    It judges by batch, channels and the first two axes alone: DeepBrain's first and fifth
    layers would take five to ten times as long.

    Parameters
    ----------
    x : torch.Tensor
        Shape (n, in, d, h, w), channels last in memory.
    weight : torch.Tensor
        Shape (out, in, kd, kh, kw).
    bias : torch.Tensor or None
        Shape (out,).
    stride, padding : tuple of int
        Per axis.

    Returns
    -------
    torch.Tensor
        Shape (n, out, d', h', w'), channels last in memory.
    """
    if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)


def paired(weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias that give two neighbours along the last axis as one voxel's channels.

    Eight channels fill half of a CPU's vector; sixteen fill it at the price of one more tap.

    Parameters
    ----------
    weight : torch.Tensor
        Shape (out, in, kd, kh, kw).
    bias : torch.Tensor
        Shape (out,).

    Returns
    -------
    weight : torch.Tensor
        Shape (2 out, in, kd, kh, kw + 1), for a stride of 2 along the last axis.
    bias : torch.Tensor
        Shape (2 out,).
    """
    n_out, n_in, d, h, w = weight.shape
    paired = weight.new_zeros(2 * n_out, d, h, w + 1, n_in).permute(0, 4, 1, 2, 3)
    paired[:n_out, ..., :-1] = weight
    paired[n_out:, ..., 1:] = weight
    return paired, bias.repeat(2)


def convolve_pairs(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, step: int = 1
) -> torch.Tensor:
    """Convolve with a kernel from :func:`paired`, without padding the first axis.

    Parameters
    ----------
    x : torch.Tensor
        Shape (n, in, d, h, w), channels last in memory; w even.
    weight, bias : torch.Tensor
        From :func:`paired`, of a kernel of 3 along the second and third axis.
    step : int, default 1
        Stride along the first axis.

    Returns
    -------
    torch.Tensor
        Shape (n, out, d', h, w), channels last in memory.
    """
    y = convolution(x, weight, bias, stride=(step, 1, 2), padding=(0, 1, 1))
    n, channels, d, h, w = y.shape
    y = y.permute(0, 2, 3, 4, 1).reshape(n, d, h, 2 * w, channels // 2)
    return y.permute(0, 4, 1, 2, 3)


def interleaved(weight: torch.Tensor) -> torch.Tensor:
    """Make channels (up, skip) of a kernel's plane k its planes 2k and 2k + 1.

    Parameters
    ----------
    weight : torch.Tensor
        Shape (out, 2 in, 3, kh, kw).

    Returns
    -------
    torch.Tensor
        Shape (out, in, 6, kh, kw), for planes that come in pairs, with a stride of 2.
    """
    n_out, n_in, *size = weight.shape
    out = weight.reshape(n_out, 2, n_in // 2, *size).permute(0, 3, 1, 4, 5, 2)
    return out.reshape(n_out, 6, *size[1:], n_in // 2).permute(0, 4, 1, 2, 3)


def slab(x: torch.Tensor) -> int:
    """Planes of the finest level to work on at once: few enough for a CPU's cache.

    Parameters
    ----------
    x : torch.Tensor
        On the device in question.

    Returns
    -------
    int
        A number of planes, even.
    """
    return 8 if x.device.type == "cpu" else 1024


def transpose_into(out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> None:
    """Write a transposed convolution of stride 2, its last planes dropped, to `out`.

    An even voxel takes two taps of the kernel, an odd one the middle tap. So there is one
    small convolution for each parity of the first two axes; the third's are two sets of
    channels, which is the order of `out` in memory.

    Parameters
    ----------
    out : torch.Tensor
        Shape (2d, 2h, 2w, channels), in any strides with the last two axes contiguous.
    x : torch.Tensor
        Shape (1, n, d, h, w).
    weight : torch.Tensor
        Shape (n, channels, 3, 3, 3), as ``torch.nn.ConvTranspose3d`` has it.
    """
    _, n_in, d, h, w = x.shape
    n_out = weight.shape[1]
    taps = {0: [2, 0], 1: [1]}  # of the voxel before and the voxel itself
    kernel = weight.permute(2, 3, 1, 4, 0)  # d, h, out, w, in
    fine = out.view(d, 2, h, 2, w, 2 * n_out)
    for i in (0, 1):
        for j in (0, 1):
            part = kernel[taps[i]][:, taps[j]]
            pair = part.new_zeros(2, n_out, len(taps[i]), len(taps[j]), 2, n_in)
            pair[0] = part[..., taps[0], :].permute(2, 0, 1, 3, 4)
            pair[1, ..., 1, :] = part[..., 1, :].permute(2, 0, 1, 3)
            pair = pair.flatten(0, 1).permute(0, 4, 1, 2, 3)
            for start in range(0, d, slab(x) // 2):
                stop = min(start + slab(x) // 2, d)
                low = max(start - 1 + i, 0)
                y = convolution(x[:, :, low:stop], pair, None, padding=(1 - i, 1 - j, 1))
                first = start - low if not i else 0
                y = y[0, :, first : first + stop - start, :h, :w]
                fine[start:stop, i, :, j] = y.permute(1, 2, 3, 0)
