"""Invariant: one store, several processes, some killed: every record is whole and right."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cluster import ROOT, _until
from slow_means import SlowMeans

from alsnb import features

SCRIPT = """
import sys, pandas as pd
from alsnb import features
from slow_means import SlowMeans
table = features.extract(
    pd.read_csv(sys.argv[1]), SlowMeans(0.1), sys.argv[2], n_jobs=1, progress=False
)
table.features.to_json(sys.argv[3], double_precision=15)
"""


@pytest.fixture
def people(make_scan):
    rows = []
    for i in range(10):
        data = np.random.default_rng(i).uniform(1, 100, (6, 6, 6))
        rows.append((f"sub-{i:02d}", str(make_scan(f"sub-{i:02d}_T1w.nii.gz", data))))
    return pd.DataFrame(rows, columns=["participant_id", "t1w"])


def start(table, store, result):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(table), str(store), str(result)],
        env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


def test_processes_share_a_store_and_one_that_is_killed_harms_nobody(people, tmp_path):
    expected = features.extract(people, SlowMeans(), tmp_path / "alone", progress=False)
    table, store = tmp_path / "people.csv", tmp_path / "shared"
    people.to_csv(table, index=False)
    results = [tmp_path / f"{i}.json" for i in range(3)]
    running = [start(table, store, r) for r in results]
    records = store / "slow_means"
    _until(lambda: len(list(records.glob("*.json"))) >= 2, "no records")
    running[0].send_signal(signal.SIGKILL)
    assert [p.wait(timeout=60) for p in running] == [-signal.SIGKILL, 0, 0]
    for path in results[1:]:
        found = pd.read_json(path)
        # 15 digits are written; the last may differ.
        np.testing.assert_allclose(found.to_numpy(), expected.features.to_numpy(), rtol=1e-13)
    here = {p.name: p.read_bytes() for p in (tmp_path / "alone" / "slow_means").glob("[!.]*.*")}
    there = {p.name: p.read_bytes() for p in records.glob("[!.]*.*")}
    assert there == here
    assert all(json.loads(p.read_text()) for p in records.glob("*.json"))
    assert features.extract(people, SlowMeans(), store, progress=False).computed == 0


def test_hashes_kept_for_later_are_not_believed_of_a_file_that_changed(people, tmp_path):
    from alsnb import fingerprints

    old = time.time() - 100
    for path in people["t1w"]:
        os.utime(path, (old, old))
    digest = features.file_hash(people["t1w"][0])
    state = fingerprints._state(people["t1w"][0])
    # A change at once after the hash could leave the same times: not kept yet.
    assert fingerprints.remembered([people["t1w"][0]]) == []
    fingerprints.remember([[people["t1w"][0], list(state), digest]])
    assert fingerprints.known_hash(people["t1w"][0]) == digest
    with Path(people["t1w"][0]).open("r+b") as file:  # same size, same time of modification
        file.seek(-1, 2)
        last = file.read()
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    os.utime(people["t1w"][0], (old, old))
    assert fingerprints.known_hash(people["t1w"][0]) is None
    assert features.file_hash(people["t1w"][0]) != digest
