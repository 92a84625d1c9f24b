"""The two simulated cohorts on which switches are measured: same people, with and without effect.

Coarse whole heads with their true brain masks, so that a study of many protocols fits in
minutes; everything after the scan is the study's own: cohort, store, extractors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb import cohort, extractors, features, simulation, truth
from alsnb.parameters import Parameters
from alsnb.switches import PROTOCOLS, Protocol


@dataclass(frozen=True)
class Settings:
    """What is simulated and measured.

    Attributes
    ----------
    n_subjects : int
        Of each simulated cohort.
    voxel_mm : float
        Of its scans.
    precentral_loss, precentral_loss_sd, cortical_loss, cortical_loss_sd : float
        Planted effect, as in :class:`alsnb.simulation.Effects`.
    representations, classifiers : tuple of str
        What is run. A switch that concerns none of the classifiers is measured on the first
        that it does.
    n_seeds : int
        Seeds ``seed``, ``seed + 1``, ...; scores are averaged over them.
    trials, epochs, smote_k, n_folds : int
        Of ``published``: networks per fold, their longest training, SMOTE's neighbours, folds.
    n_draws : int
        Bootstrap draws of subjects.
    seed : int
        First seed of the protocols; of the simulation.
    """

    n_subjects: int = 120
    voxel_mm: float = 4.0
    precentral_loss: float = 0.6
    precentral_loss_sd: float = 0.1
    cortical_loss: float = 0.15
    cortical_loss_sd: float = 0.05
    representations: tuple[str, ...] = ("radiomics",)
    classifiers: tuple[str, ...] = ("svm_linear", "svm_poly", "svm_rbf", "dnn_t")
    n_seeds: int = 1
    trials: int = 2
    epochs: int = 200
    smote_k: int = 5
    n_folds: int = 3
    n_draws: int = 1000
    seed: int = 42

    def cohorts(self) -> dict[str, simulation.Effects]:
        """Return what is planted, by cohort: ``null`` and ``planted``."""
        names = [f.name for f in fields(simulation.Effects)]
        planted = {k: v for k, v in asdict(self).items() if k in names}
        return {"null": simulation.Effects(), "planted": simulation.Effects(**planted)}

    def published(self) -> Protocol:
        """Return ``published`` with these trials, epochs and neighbours."""
        return replace(
            PROTOCOLS["published"],
            network_trials=self.trials,
            network_epochs=self.epochs,
            smote_k=self.smote_k,
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the protocols."""
        return tuple(range(self.seed, self.seed + self.n_seeds))


@dataclass(frozen=True)
class Cohort:
    """Feature tables of one simulated cohort.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        By representation; index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    summary : dict
        Counts by group, and the mean share of grey matter that the positive class lost.
    """

    tables: dict[str, pd.DataFrame]
    labels: pd.Series
    summary: dict[str, Any]


def settings(params: Parameters) -> Settings:
    """Take the study's settings from a run's parameters.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "From text to code", ``dnn_epochs`` and the seed. Folds and SMOTE's neighbours
        are the paper's, whatever the run's own cohort needs.

    Returns
    -------
    Settings
        Names given twice count once.
    """
    p = params
    return Settings(
        n_subjects=p.switch_subjects,
        voxel_mm=p.switch_voxel_mm,
        precentral_loss=p.switch_precentral_loss,
        precentral_loss_sd=p.switch_precentral_loss_sd,
        cortical_loss=p.switch_cortical_loss,
        cortical_loss_sd=p.switch_cortical_loss_sd,
        representations=tuple(dict.fromkeys(p.switch_representations)),
        classifiers=tuple(dict.fromkeys(p.switch_classifiers)),
        n_seeds=p.switch_seeds,
        trials=p.switch_trials,
        epochs=p.dnn_epochs,
        n_draws=p.switch_draws,
        seed=p.seed,
    )


def simulate(
    run_dir: str | Path, settings: Settings, *, n_jobs: int = 1, progress: bool = True
) -> dict[str, Cohort]:
    """Simulate both cohorts and extract their features, with the true brain masks.

    Parameters
    ----------
    run_dir : str or pathlib.Path
        Scans go to ``switches``, features to ``store``.
    settings : Settings
        Size and effects.
    n_jobs : int, default 1
        Processes.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    dict of str to Cohort
        ``null`` and ``planted``: the same people, without and with the planted effect.
    """
    run_dir, s = Path(run_dir), settings
    how: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress}
    # Both cohorts first, then both extractions: workers keep what they have loaded.
    roots = {}
    for name, effects in s.cohorts().items():
        key = features.fingerprint(s.n_subjects, s.voxel_mm, asdict(effects), s.seed)[:12]
        roots[name] = simulation.simulate_cohort(
            run_dir / "switches" / f"{name}-{key}",
            n_subjects=s.n_subjects,
            voxel_mm=s.voxel_mm,
            effects=effects,
            seed=s.seed,
            **how,
        )
    found = {}
    for name, root in roots.items():
        read = cohort.read_cohort(root, mask_root=root / "derivatives" / cohort.TRUTH)
        tables = _tables(read.participants, s.representations, run_dir / "store", how)
        labels = read.labels.loc[next(iter(tables.values())).index]
        known = truth.read_truth(root).loc[labels.index[labels == 1]]
        summary = {
            **read.counts,
            "precentral_lost": float(known["precentral_lost_fraction"].mean()),
            "cortical_lost": float(known["cortical_lost_fraction"].mean()),
        }
        found[name] = Cohort(tables, labels, summary)
    return found


def _tables(
    people: pd.DataFrame, representations: Sequence[str], store: Path, how: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    def extracted(extractor: Any, of: pd.DataFrame) -> features.FeatureTable:
        return features.extract(of, extractor, store, **how)

    made: dict[str, pd.DataFrame] = {}
    if "radiomics" in representations:
        masks = extracted(extractors.BrainMaskExtractor("given"), people).artifacts
        paths = people["participant_id"].map({s: str(p) for s, p in masks.items()})
        seen = people.assign(brain_mask=paths)[paths.notna()]
        made["radiomics"] = extracted(extractors.RadiomicsExtractor(), seen).features
    if set(representations) - {"radiomics"}:
        layers = extracted(extractors.EmbeddingExtractor(), people).features
        for name in ("dl7", "dl8"):
            made[name] = layers.filter(regex=f"^{name}_")
    common = people["participant_id"]
    for table in made.values():
        common = common[common.isin(table.index)]
    return {name: made[name].loc[common] for name in representations}
