"""Weights come from where they say, and bad weights or scans end in a clear error."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from alsnb.embeddings import (
    ADNET_SHA256,
    METADATA_KEY,
    ADNet,
    embed,
    load_network,
    preprocess,
    weights_hash,
)
from alsnb.errors import AlsnbError, ParameterError, ScanError
from alsnb.scan import Scan


def state() -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in ADNet().state_dict().items()}


def test_the_authors_file_is_recognised(test_data):
    network = load_network(test_data / "weights" / "AD_pretrained_weights.pt")
    assert network.weights.name == "adnet" and network.weights.orientation == "as_stored"
    assert not network.training


def test_another_file_is_noted(tmp_path):
    torch.save(state(), tmp_path / "other.pt")
    weights = load_network(tmp_path / "other.pt").weights
    assert weights.name == "file" and "neither" in weights.note
    assert weights.sha256 != ADNET_SHA256 and len(weights.sha256) == 64


def test_safetensors_carry_their_orientation(tmp_path):
    path = tmp_path / "ours.safetensors"
    save_file(state(), path, metadata={METADATA_KEY: '{"orientation": "RAS"}'})
    network = load_network(str(path))
    assert network.weights.orientation == "RAS"
    save_file(state(), path)
    assert load_network(path).weights.orientation == "as_stored"


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Bomb()}, "bomb.pt")
    Path("raw.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pt", "raw.pt"):
        with pytest.raises(ScanError, match="plain tensors"):
            load_network(name)
    assert not Path("exploded").exists()


def test_other_networks_are_refused(tmp_path):
    missing = state()
    del missing["f.0.bias"]
    wrong = state() | {"f.0.bias": torch.zeros(3)}
    extra = state() | {"g.0.bias": torch.zeros(3)}
    for found, name in [(missing, "f.0.bias"), (wrong, "f.0.bias"), (extra, "g.0.bias")]:
        torch.save(found, tmp_path / "net.pt")
        with pytest.raises(ScanError, match=name) as caught:
            load_network(tmp_path / "net.pt")
        assert caught.value.reason == "weights"
    torch.save([1, 2], tmp_path / "net.pt")
    with pytest.raises(ScanError, match="table of tensors"):
        load_network(tmp_path / "net.pt")
    torch.save(state() | {"f.0.bias": torch.full((2,), torch.nan)}, tmp_path / "net.pt")
    with pytest.raises(ScanError, match="NaN"):
        load_network(tmp_path / "net.pt")


def test_hashes_are_known_without_loading(tmp_path):
    assert weights_hash("adnet") == ADNET_SHA256
    torch.save(state(), tmp_path / "net.pt")
    assert weights_hash(tmp_path / "net.pt") == load_network(tmp_path / "net.pt").weights.sha256
    assert weights_hash("simulated") == load_network("simulated").weights.sha256
    with pytest.raises(ScanError, match="no such weight file"):
        weights_hash(tmp_path / "none.pt")


def test_missing_damaged_and_unknown_files(tmp_path):
    with pytest.raises(ScanError, match="no such weight file"):
        load_network(tmp_path / "none.pt")
    with pytest.raises(ScanError, match="'simulated', 'adnet'"):
        load_network("adnett")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(ScanError, match="get the file anew"):
        load_network(tmp_path / "cut.safetensors")


def test_a_failed_download_says_how_to_go_on(tmp_path, monkeypatch):
    # Nothing listens on the discard port, so this fails with and without a network.
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(AlsnbError, match=f"{ADNET_SHA256}.*path.*'simulated'"):
        load_network("adnet", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cached_download_needs_no_network(test_data, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    source = test_data / "weights" / "AD_pretrained_weights.pt"
    (tmp_path / "adnet-ca44bf6.pt").write_bytes(source.read_bytes())
    assert load_network("adnet", cache=tmp_path).weights.name == "adnet"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((20, 20, 20)),
        np.full((20, 20, 20), 7.0),
        np.pad(np.full((1, 1, 1), 7.0), ((0, 40),) * 3),
        np.full((20, 20, 20), 3e38) * (-1.0) ** np.arange(20),
    ],
    ids=["empty", "constant", "one voxel", "overflow"],
)
def test_scans_without_contrast_are_refused(array):
    with pytest.raises(ScanError, match=r"sub-07.*z-scored") as caught:
        preprocess(array.astype(np.float32), subject="sub-07")
    assert caught.value.reason == "no_contrast"


def test_other_bad_input():
    with pytest.raises(ScanError, match="three axes"):
        preprocess(np.zeros((4, 4)))
    with pytest.raises(ScanError, match="three axes"):
        preprocess(np.zeros((4, 4, 1)))
    scan = Scan("", Path(), np.random.default_rng(0).random((9, 9, 9)), np.eye(4))
    with pytest.raises(ParameterError, match="'running' or 'batch'"):
        embed(scan, ADNet(), batch_norm="eval")
    with pytest.raises(ScanError, match="orientation"):
        embed(scan, ADNet(), orientation="PIP")
