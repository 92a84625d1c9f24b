"""Simulated people with and without a loss of grey matter, as features.

Power against effect size and sample size needs many cohorts of many people; scans of all of
them would take days. So some people are simulated as scans, each without and with every level
of loss, and their features are extracted; :mod:`alsnb.power_generator` draws others like them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import kurtosis, skew

from alsnb import extractors, features, simulation
from alsnb.errors import ParameterError
from alsnb.progress import bar
from alsnb.scheduling import unordered

#: Kinds of loss: what :func:`alsnb.simulated_head.simulate_head` calls each.
KINDS = {"focal": "precentral_loss", "diffuse": "cortical_loss"}
#: Modules whose source decides a head's features.
_MODULES = (
    "alsnb.simulation", "alsnb.simulated_head", "alsnb.simulated_anatomy", "alsnb.power_bank",
    *extractors.RadiomicsExtractor.modules, *extractors.EmbeddingExtractor.modules,
)  # fmt: skip


class Head(NamedTuple):
    """One head to simulate: who, and which loss."""

    person: int
    age: float
    sex: str
    kind: str
    level: float


@dataclass(frozen=True)
class Bank:
    """Features of simulated people.

    Attributes
    ----------
    heads : pandas.DataFrame
        A row a head: person, age, sex, kind ("none" without loss), level (fraction of grey matter
        lost), lost_ml (ml of it).
    tables : dict of str to pandas.DataFrame
        Features by representation; rows as `heads`.
    """

    heads: pd.DataFrame
    tables: dict[str, pd.DataFrame]


def plan(
    n_people: int, n_paired: int, levels: Mapping[str, Sequence[float]], seed: int
) -> list[Head]:
    """List the heads of a bank.

    Parameters
    ----------
    n_people : int
        People without loss; age and sex are those of the paper's patients.
    n_paired : int
        How many of them are simulated with each loss too.
    levels : mapping of str to sequence of float
        Fractions lost, by kind in `KINDS`.
    seed : int
        Decides who is who.

    Returns
    -------
    list of Head
        Without loss first.

    Raises
    ------
    ParameterError
        Unknown kind, a fraction outside 0 to 1, fewer than 8 paired people or more than there are.
    """
    if unknown := sorted(set(levels) - set(KINDS)):
        raise ParameterError(f"no loss {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if bad := [v for own in levels.values() for v in own if not 0 < v <= 1]:
        raise ParameterError(f"levels of loss are fractions above 0, at most 1, not {bad}")
    if not 8 <= n_paired <= n_people:
        raise ParameterError(f"{n_paired} paired people of {n_people}; expected 8 to all")
    # The paper has five patients to a mimic; more are drawn, and the first n kept.
    drawn = simulation.composition(2 * n_people, seed)
    people = drawn[drawn["group"] == "ALS"].head(n_people)
    rows = list(zip(people["age"].astype(float), people["sex"], strict=True))
    heads = [Head(i, age, sex, "none", 0.0) for i, (age, sex) in enumerate(rows)]
    for kind, own in levels.items():
        for level in sorted(set(own)):
            heads += [Head(i, *row, kind, float(level)) for i, row in enumerate(rows[:n_paired])]
    return heads


def make(
    heads: Sequence[Head],
    folder: str | Path,
    *,
    voxel_mm: float = 4.0,
    representations: Sequence[str] = ("radiomics",),
    embedding: extractors.EmbeddingExtractor | None = None,
    seed: int = 42,
    n_jobs: int = 1,
    progress: bool = True,
) -> Bank:
    """Simulate heads and extract their features, with the true brain masks.

    Parameters
    ----------
    heads : sequence of Head
        From `plan`.
    folder : str or pathlib.Path
        Store: a small file a head, so that a stopped call goes on where it was. No scan is kept.
    voxel_mm : float, default 4.0
        Voxel size.
    representations : sequence of str, default ("radiomics",)
        Of ``"radiomics"``, ``"dl7"`` and ``"dl8"``.
    embedding : alsnb.extractors.EmbeddingExtractor, optional
        Network of the last two; by default that of the simulated weights. The store tells networks
        apart by the hash of their weights.
    seed : int, default 42
        Of the people.
    n_jobs : int, default 1
        Processes of one thread. The result does not depend on it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Bank
        Heads and features.
    """
    folder = Path(folder)
    wanted = ["radiomics"] if "radiomics" in representations else []
    wanted += ["embeddings"] if set(representations) & {"dl7", "dl8"} else []
    code = features.code_hash(*_MODULES)
    rooms: dict[str, Any] = {
        "radiomics": extractors.RadiomicsExtractor(),
        "embeddings": embedding or extractors.EmbeddingExtractor(),
    }
    used = {name: rooms[name] for name in wanted}
    settings = {name: room.settings() for name, room in used.items()}
    paths = [
        folder / f"{features.fingerprint(head, voxel_mm, seed, settings, code)}.parquet"
        for head in heads
    ]
    missing = [(h, p) for h, p in zip(heads, paths, strict=True) if not p.is_file()]
    jobs = (delayed(_write)(h, p, voxel_mm, used, seed) for h, p in missing)
    done = unordered(jobs, n_jobs)
    for _ in bar(done, total=len(missing), said="power, heads", unit="head", shown=progress):
        pass
    rows = pd.concat([pd.read_parquet(p) for p in paths], ignore_index=True)
    found = pd.DataFrame(heads).assign(lost_ml=rows["lost_ml"])
    starts = {"radiomics": "original_", "dl7": "dl7_", "dl8": "dl8_"}
    tables = {n: rows[[c for c in rows if str(c).startswith(starts[n])]] for n in representations}
    return Bank(found, tables)


def _write(head: Head, path: Path, voxel_mm: float, used: Mapping[str, Any], seed: int) -> None:
    # People of the bank are no people of a cohort of the same seed: another branch of it.
    person = np.random.SeedSequence(seed, spawn_key=(12, head.person))
    loss = {} if head.kind == "none" else {KINDS[head.kind]: head.level}
    made = simulation.simulate_head(
        seed=person, age=head.age, sex=head.sex, voxel_mm=voxel_mm, **loss
    )
    region = {"focal": "precentral", "diffuse": "cortical"}.get(head.kind)
    values: dict[str, Any] = {"lost_ml": made.truth[f"{region}_lost_ml"] if region else 0.0}
    with tempfile.TemporaryDirectory() as name:
        scan, mask = Path(name) / "T1w.nii.gz", Path(name) / "mask.nii.gz"
        scan.write_bytes(simulation.nifti_bytes(made.data, made.affine))
        mask.write_bytes(simulation.nifti_bytes(made.brain_mask.astype(np.uint8), made.affine))
        row = {"participant_id": f"sub-{head.person:04d}", "t1w": scan, "brain_mask": mask}
        for room in used.values():
            values |= room.extract(row, scan).features
    features.write_table(path, pd.DataFrame([values]))


def shape(bank: Bank, representation: str) -> dict[str, float]:
    """Say how far features of people without a loss are from normal.

    Parameters
    ----------
    bank : Bank
        From `make`.
    representation : str
        A key of its tables.

    Returns
    -------
    dict of str to float
        ``skew`` (median over features of the absolute skewness) and ``kurtosis`` (median of the
        excess kurtosis); both are 0 for normal people. Features that never vary don't count.
    """
    base = bank.tables[representation][(bank.heads["kind"] == "none").to_numpy()]
    varied = base.loc[:, base.std() > 1e-9 * base.mean().abs().clip(lower=1e-300)]
    return {
        "skew": float(np.median(np.abs(skew(varied, axis=0)))),
        "kurtosis": float(np.median(kurtosis(varied, axis=0))),
    }
