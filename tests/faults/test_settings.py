"""Mechanics: parameter files and weights that can't be used are refused before any work."""

import json
import pickle
import struct
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from alsnb.cli import main
from alsnb.deepbrain_network import load_deepbrain, weights_path
from alsnb.embeddings import load_network
from alsnb.errors import ScanError
from faults.cases import PARAMETER_FILES

SHIPPED = Path(str(files("alsnb"))) / "data" / "simulated_3dcnn.safetensors"


@pytest.mark.parametrize("case", PARAMETER_FILES, ids=lambda c: c.id)
def test_parameter_files(case, tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_bytes(case.content)
    assert main(["run", "--profile", str(path), "--name", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("alsnb: ")
    assert "Traceback" not in said
    assert str(path) in said
    assert all(word in said for word in case.words), said
    assert not (tmp_path / "run").exists()


class Touch:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def _tensors():
    return load_file(SHIPPED)


def _absent(path):
    return ["no such weight file"]


def _kind(path):
    path.rename(path.with_suffix(".pkl"))
    return ["no known weights"]


def _truncated(path):
    path.write_bytes(SHIPPED.read_bytes()[:-100])
    return ["can't be read as plain tensors"]


def _tampered(path):
    content = bytearray(SHIPPED.read_bytes())
    struct.pack_into("<Q", content, 0, 2**40)  # the header's length
    path.write_bytes(bytes(content))
    return ["can't be read as plain tensors"]


def _foreign(path):
    tensors = _tensors()
    first = next(iter(tensors))
    tensors[first] = torch.zeros(3)
    save_file(tensors, path)
    return ["is another network", first]


def _nan(path):
    tensors = _tensors()
    name = next(n for n, t in tensors.items() if t.is_floating_point())
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, path)
    return [name, "NaN"]


def _pickle(path):
    with path.with_suffix(".pt").open("wb") as file:
        pickle.dump(Touch(path.parent / "ran"), file)
    return ["can't be read as plain tensors"]


@pytest.mark.parametrize(
    "damage", [_absent, _kind, _truncated, _tampered, _foreign, _nan, _pickle],
    ids=lambda f: f.__name__.strip("_"),
)  # fmt: skip
def test_weights(damage, tmp_path):
    path = tmp_path / "w.safetensors"
    if damage is not _absent:
        path.write_bytes(SHIPPED.read_bytes())
    words = damage(path)
    path = next((p for p in tmp_path.glob("w.*") if p.suffix != ".safetensors"), path)
    with pytest.raises(ScanError) as caught:
        load_network(path)
    assert caught.value.reason == "weights"
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value
    assert not (tmp_path / "ran").exists()


def test_a_tampered_graph(tmp_path):
    content = bytearray(weights_path().read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "graph.pb"
    path.write_bytes(bytes(content))
    with pytest.raises(ScanError, match="is not DeepBrain's published graph: SHA-256") as caught:
        load_deepbrain(path)
    assert caught.value.reason == "weights"


def test_the_shipped_weights_are_what_they_are_tampered_from():
    """The unchanged file is read; so what is refused above is refused for the change."""
    assert json.dumps(load_network(SHIPPED).weights.sha256)
