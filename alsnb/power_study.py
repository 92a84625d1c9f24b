"""Power of the primary test against how much grey matter is lost, and how many people are seen.

Cohorts come from :mod:`alsnb.power_generator`. All effects share the same people,
and a smaller cohort is the start of a larger one, so that a curve does not go up and down by
the luck of its draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray

from alsnb import features, kept_tables, power_bank, switch_cohorts
from alsnb.extractors import EmbeddingExtractor
from alsnb.null_study import LEVEL, share
from alsnb.parameters import Parameters
from alsnb.power_bank import Bank
from alsnb.power_generator import Generator, draw, generator
from alsnb.primary_test import primary_test, quick_test
from alsnb.progress import bar
from alsnb.scheduling import unordered

#: The paper's people: ALS and mimics.
PAPER = (548, 106)
#: Representations whose ceiling is given; curves are drawn for those asked for.
REPRESENTATIONS = ("radiomics", "dl7", "dl8")
#: Settings that decide no draw, or by way of the generator only.
_ELSEWHERE = ("n_draws", "representations", "weights", "batch_norm", "orientation")
#: Draws in one file of the store.
_CHUNK = 10
_MODULES = ("alsnb.power_study", "alsnb.power_generator", "alsnb.primary_test", "scipy", "sklearn")


@dataclass(frozen=True)
class Settings:
    """What is simulated, drawn and tested.

    Attributes
    ----------
    n_people, n_paired : int
        People simulated as scans, and how many of them with each loss too.
    focal, diffuse : tuple of float
        Fractions of precentral and of all cortical grey matter lost in them; the curves are
        drawn at these and half-way between.
    voxel_mm : float
        Of the scans.
    representations : tuple of str
        Of `REPRESENTATIONS`: those that curves are drawn for.
    sizes : tuple of int
        People per cohort, in the paper's proportions.
    n_draws : int
        Cohorts per effect and size.
    n_permutations : int
        Of each test.
    seed : int
        Of people and draws.
    weights, batch_norm, orientation : str
        Of the network behind DL7 and DL8, as for
        :class:`alsnb.extractors.EmbeddingExtractor`.
    """

    n_people: int = 80
    n_paired: int = 24
    focal: tuple[float, ...] = (0.3, 0.6)
    diffuse: tuple[float, ...] = (0.05, 0.15)
    voxel_mm: float = 4.0
    representations: tuple[str, ...] = ("radiomics",)
    sizes: tuple[int, ...] = (120, 327, 654)
    n_draws: int = 50
    n_permutations: int = 99
    seed: int = 42
    weights: str = "simulated"
    batch_norm: Literal["running", "batch"] = "running"
    orientation: str = "auto"

    def embedding(self) -> EmbeddingExtractor:
        """Return the network behind DL7 and DL8."""
        return EmbeddingExtractor(self.weights, self.batch_norm, self.orientation)

    def levels(self) -> dict[str, tuple[float, ...]]:
        """Return the simulated levels of each kind of loss."""
        return {"focal": self.focal, "diffuse": self.diffuse}

    def curve(self, kind: str) -> list[float]:
        """Return the levels of a kind's curve, from 0."""
        levels = [0.0, *sorted(set(self.levels()[kind]))]
        between = [(a + b) / 2 for a, b in itertools.pairwise(levels)]
        return [float(round(v, 6)) for v in sorted(levels + between)]


@dataclass(frozen=True)
class PowerStudy:
    """What was found.

    Attributes
    ----------
    power : pandas.DataFrame
        representation, kind, level (fraction lost), n, n_positive, n_negative, hits, of, share,
        lower, upper (exact 95 %), auc (mean over cohorts).
    ceilings : pandas.DataFrame
        representation, kind, level, ceiling (AUC of the best linear score), lost_ml (mean).
    steps : pandas.DataFrame
        Neighbours on a curve, more effect or more people: representation, kind, along ("effect"
        or "people"), level, n, difference (of shares), se (paired), z.
    check : pandas.DataFrame
        The generator against scans: representation, cohort, source, n_positive, n_negative, hits,
        of, share, lower, upper, auc, sd. Representations are missing whose scans there are none
        of, and all where the loss is beyond the bank's.
    summary : dict
        n_people, n_paired, weights (name of the network behind DL7 and DL8); by representation:
        shrinkage, and shape (:func:`alsnb.power_bank.shape`).
    """

    power: pd.DataFrame
    ceilings: pd.DataFrame
    steps: pd.DataFrame
    check: pd.DataFrame
    summary: dict[str, Any]


def settings(params: Parameters) -> Settings:
    """Take the study's settings from a run's parameters.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "Controls" and the seed.

    Returns
    -------
    Settings
    """
    p = params
    return Settings(
        n_people=p.power_people,
        n_paired=min(p.power_paired, p.power_people),
        focal=tuple(sorted(set(p.power_focal))),
        diffuse=tuple(sorted(set(p.power_diffuse))),
        voxel_mm=p.power_voxel_mm,
        representations=tuple(dict.fromkeys(p.power_representations)),
        sizes=tuple(sorted(set(p.power_sizes))),
        n_draws=p.power_draws,
        n_permutations=p.power_permutations,
        seed=p.seed,
        weights=p.weights,
        batch_norm=p.batch_norm,
        orientation=p.orientation,
    )


def group_sizes(n: int) -> tuple[int, int]:
    """Share people out as in the paper.

    Parameters
    ----------
    n : int
        All people.

    Returns
    -------
    positive, negative : int
        In the proportion 548 to 106.
    """
    negative = round(n * PAPER[1] / sum(PAPER))
    return n - negative, negative


def run(
    settings: Settings,
    folder: str | Path,
    *,
    cohorts: Mapping[str, switch_cohorts.Cohort] | None = None,
    planted: switch_cohorts.Settings | None = None,
    n_jobs: int = 1,
    progress: bool = True,
) -> PowerStudy:
    """Simulate the bank, draw cohorts from it and test them.

    Parameters
    ----------
    settings : Settings
        What is run.
    folder : str or pathlib.Path
        Store; a stopped call goes on where it was.
    cohorts, planted : optional
        Simulated cohorts, ``null`` and ``planted``, and what was planted, to check the
        generator by.
    n_jobs : int, default 1
        Processes of one thread. The result does not depend on it.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    PowerStudy
    """
    s, folder = settings, Path(folder)
    how: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress}
    heads = power_bank.plan(s.n_people, s.n_paired, s.levels(), s.seed)
    bank = power_bank.make(
        heads, folder / "heads", voxel_mm=s.voxel_mm, representations=REPRESENTATIONS,
        embedding=s.embedding(), seed=s.seed, **how,
    )  # fmt: skip
    generators = {name: generator(bank, name) for name in REPRESENTATIONS}
    drawn = {name: generators[name] for name in s.representations}
    draws = pd.concat(
        [_draws(name, g, s, folder / "draws", **how) for name, g in drawn.items()],
        ignore_index=True,
    )
    check = pd.DataFrame()
    if cohorts and planted:
        # Scans of the chapter on switches are seen through the simulated weights.
        same = s.embedding() == EmbeddingExtractor()
        rows = [
            row
            for name, g in drawn.items()
            if name in cohorts["null"].tables and (same or name == "radiomics")
            for row in _check(name, g, cohorts, planted, s, folder / "check", **how)
        ]
        check = pd.DataFrame(rows)
    return PowerStudy(
        power=_power(draws),
        ceilings=_ceilings(bank, generators, s),
        steps=_steps(draws),
        check=check,
        summary={
            "n_people": s.n_people,
            "n_paired": s.n_paired,
            # A name, not the place of somebody's file.
            "weights": Path(s.weights).name,
            "shrinkage": {name: g.shrinkage for name, g in generators.items()},
            "shape": {name: power_bank.shape(bank, name) for name in REPRESENTATIONS},
        },
    )


def _draws(
    name: str, generator: Generator, s: Settings, folder: Path, *, n_jobs: int, progress: bool
) -> pd.DataFrame:
    """Test every cohort of a representation; a file of the store holds a few draws."""
    key = features.fingerprint(
        generator.root.tolist(),
        {k: v.tolist() for k, v in generator.shifts.items()},
        {k: v for k, v in asdict(s).items() if k not in _ELSEWHERE},
        features.code_hash(*_MODULES),
    )[:16]
    chunks = [range(i, min(i + _CHUNK, s.n_draws)) for i in range(0, s.n_draws, _CHUNK)]
    paths = [folder / f"{name}-{key}-{c.start}-{c.stop}.parquet" for c in chunks]
    missing = [(c, p) for c, p in zip(chunks, paths, strict=True) if not p.is_file()]
    jobs = (delayed(_chunk)(generator, s, c, p) for c, p in missing)
    done = unordered(jobs, n_jobs)
    for _ in bar(done, total=len(missing), said=f"power, {name}", unit="part", shown=progress):
        pass
    found = pd.concat([pd.read_parquet(p) for p in paths], ignore_index=True)
    return found.assign(representation=name)


def _chunk(generator: Generator, s: Settings, draws: range, path: Path) -> None:
    rows = []
    for number in draws:
        for n in s.sizes:
            groups, none = group_sizes(n), None
            for kind in s.levels():
                for level in s.curve(kind):
                    # Both curves start at the same null cohort.
                    if level == 0 and none is not None:
                        found = none
                    else:
                        rng = np.random.default_rng([s.seed, number])
                        X, y = draw(generator, *groups, {kind: level}, rng)
                        found = quick_test(
                            X, y, seed=s.seed + number, n_permutations=s.n_permutations
                        )
                        none = found if level == 0 else none
                    head = {"draw": number, "kind": kind, "level": level, "n": n}
                    rows.append(head | dict(zip(("auc", "p"), found, strict=True)))
    features.write_table(path, pd.DataFrame(rows))


def _power(draws: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (name, kind, level, n), own in draws.groupby(
        ["representation", "kind", "level", "n"], sort=False
    ):
        groups = dict(zip(("n_positive", "n_negative"), group_sizes(int(str(n))), strict=True))
        head = {"representation": name, "kind": kind, "level": level, "n": n} | groups
        found = share(int((own["p"] <= LEVEL).sum()), len(own))
        rows.append(head | found | {"auc": float(own["auc"].mean())})
    return pd.DataFrame(rows)


def _ceilings(bank: Bank, generators: Mapping[str, Generator], s: Settings) -> pd.DataFrame:
    lost = bank.heads.groupby(["kind", "level"])["lost_ml"].mean()
    rows = []
    for name, people in generators.items():
        for kind in s.levels():
            known = [0.0, *s.levels()[kind]]
            ml = [0.0, *(float(lost[kind, level]) for level in s.levels()[kind])]
            for level in s.curve(kind):
                head = {"representation": name, "kind": kind, "level": level}
                ceiling = people.ceiling({kind: level})
                at = float(np.interp(level, known, ml))
                rows.append(head | {"ceiling": ceiling, "lost_ml": at})
    return pd.DataFrame(rows)


def _steps(draws: pd.DataFrame) -> pd.DataFrame:
    """Compare neighbours on the curves, draw by draw, for they share their people."""
    hit = draws.assign(hit=(draws["p"] <= LEVEL).astype(float))
    wide = hit.pivot(index="draw", columns=["representation", "kind", "level", "n"], values="hit")
    cells = wide.columns.to_frame(index=False)
    rows = []
    for along, fixed in (("level", "n"), ("n", "level")):
        for _, line in cells.groupby(["representation", "kind", fixed], sort=False):
            ordered = line.sort_values(along)
            keys = list(ordered.itertuples(index=False, name=None))
            for below, above in itertools.pairwise(keys):
                # At no effect, more people leave the share of rejections where it is.
                if along == "n" and above[2] == 0:
                    continue
                change = (wide[above] - wide[below]).to_numpy()
                # No draw that changes sides still leaves a rule-of-three doubt about the share.
                se = float(np.sqrt(max(change.var(), 1 / len(change)) / len(change)))
                rows.append(
                    {
                        **dict(zip(cells.columns, above, strict=True)),
                        "along": "effect" if along == "level" else "people",
                        "difference": float(change.mean()),
                        "se": se,
                        "z": float(change.mean() / se),
                    }
                )
    return pd.DataFrame(rows)


def _check(
    name: str,
    generator: Generator,
    cohorts: Mapping[str, switch_cohorts.Cohort],
    planted: switch_cohorts.Settings,
    s: Settings,
    folder: Path,
    *,
    n_jobs: int = 1,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Deal simulated patients out again, a share of them as they would be without loss."""
    losses = {"focal": planted.precentral_loss, "diffuse": planted.cortical_loss}
    spread = {"focal": planted.precentral_loss_sd, "diffuse": planted.cortical_loss_sd}
    if any(loss > generator.levels[kind][-1] for kind, loss in losses.items()):
        return []
    without, with_loss = (cohorts[c].tables[name] for c in ("null", "planted"))
    labels = cohorts["planted"].labels
    patients = without.index.intersection(with_loss.index)
    patients = patients[(labels.loc[patients] == 1).to_numpy()]
    sizes = group_sizes(len(patients))
    if sizes[1] < 6:
        return []
    calls: list[kept_tables.Call] = []
    for table, on in ((without, 0.0), (with_loss, 1.0)):
        tables = (table.loc[patients], without.loc[patients], generator.root)
        options = {
            "levels": generator.levels,
            "losses": {k: on * v for k, v in losses.items()},
            "spread": {k: on * v for k, v in spread.items()},
            "n_draws": s.n_draws,
            "n_permutations": s.n_permutations,
            "seed": s.seed,
        }
        calls.append((_deal, (*tables, *(generator.shifts[k] for k in generator.levels)), options))
    code = features.code_hash(*_MODULES)
    kept = kept_tables.keep(calls, folder, code, f"check, {name}", n_jobs, progress)
    rows = []
    for cohort, deals in zip(("null", "planted"), kept, strict=True):
        for source in ("scans", "generator"):
            own = deals[deals["source"] == source]
            rows.append(
                {
                    "representation": name,
                    "cohort": cohort,
                    "source": source,
                    "n_positive": sizes[0],
                    "n_negative": sizes[1],
                    **share(int((own["p"] <= LEVEL).sum()), len(own)),
                    "auc": float(own["auc"].mean()),
                    "sd": float(own["auc"].std(ddof=1)),
                }
            )
    return rows


def _deal(
    ill: pd.DataFrame,
    well: pd.DataFrame,
    root: NDArray[np.float64],
    *shifts: NDArray[np.float64],
    levels: Mapping[str, tuple[float, ...]],
    losses: Mapping[str, float],
    spread: Mapping[str, float],
    n_draws: int,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Test deals of the same patients, with and without a loss, and as many drawn people."""
    people = Generator(root, dict(zip(levels, shifts, strict=True)), dict(levels), 0.0)
    n_positive, n_negative = group_sizes(len(well))
    rows = []
    for number in range(n_draws):
        rng = np.random.default_rng([seed, 1, number])
        dealt = rng.permutation(well.index)
        cohort = pd.concat([ill.loc[dealt[:n_positive]], well.loc[dealt[n_positive:]]])
        own = pd.Series(np.repeat([1, 0], [n_positive, n_negative]), index=cohort.index)
        how: Any = {"seed": seed + number, "n_permutations": n_permutations}
        result = primary_test(cohort, own, **how)
        rows.append({"source": "scans", "auc": result.auc, "p": result.p})
        X, y = draw(people, n_positive, n_negative, losses, rng, spread=spread)
        auc, p = quick_test(X, y, **how)
        rows.append({"source": "generator", "auc": auc, "p": p})
    return pd.DataFrame(rows)
