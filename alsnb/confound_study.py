"""What confounds do to a run's models: tests, and results with and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsnb import (
    confound_alone,
    confound_tests,
    deconfound,
    delong,
    disclosure,
    features,
    kept_tables,
    paired_null,
    pooled,
)
from alsnb import confounds as known
from alsnb.classification import MODULES
from alsnb.confounds import Confounds

if TYPE_CHECKING:
    from alsnb.study import Study

#: Modules whose source decides what is kept in the run folder.
_MODULES = (*MODULES, "alsnb.confound_study", "alsnb.deconfound")
#: People of the planted example, enough to see an effect in.
PLANTED = 300


@dataclass(frozen=True)
class ConfoundStudy:
    """What was measured.

    Attributes
    ----------
    confounds : alsnb.confounds.Confounds
        What is known of people and scans.
    labels : pandas.Series
        1 positive, of the people in it.
    alone : pandas.DataFrame
        From :func:`alsnb.confound_alone.predictability`.
    headline : dict of str to str
        By representation, the classifier of highest AUC under ``nested``.
    nested : pandas.DataFrame
        Predictions of these models.
    tests : pandas.DataFrame
        From :func:`alsnb.confound_tests.confound_tests`.
    removed : list of str
        Groups of confounds that were regressed out, as a page calls them.
    results : pandas.DataFrame
        From `compare`; empty where nothing could be regressed out.
    paired : pandas.DataFrame
        From :func:`alsnb.paired_null.measure`: how often DeLong's paired test finds a difference
        where there is none; empty without `results`.
    planted : pandas.DataFrame
        From `planted`.
    notes : list of str
        What a reader has to know.
    """

    confounds: Confounds
    labels: pd.Series
    alone: pd.DataFrame
    headline: dict[str, str]
    nested: pd.DataFrame
    tests: pd.DataFrame
    removed: list[str]
    results: pd.DataFrame
    paired: pd.DataFrame
    planted: pd.DataFrame
    notes: list[str]


def run(study: Study) -> ConfoundStudy:
    """Measure everything that the chapter on confounds shows.

    Parameters
    ----------
    study : alsnb.study.Study
        The sections "Confounds" and "Classification", the seed and ``n_jobs`` decide.

    Returns
    -------
    ConfoundStudy
        Tests and models are kept in the run folder and found again.

    Raises
    ------
    CohortError
        As for :func:`alsnb.protocols.run`.
    """
    p = study.params
    tables = study.representations()
    people = next(iter(tables.values())).index
    labels = study.labels(people)
    found = known.gather(study, people)
    folder = study.run_dir / "studies" / "confounds"
    how: dict[str, Any] = {"n_folds": p.n_folds, "seed": p.seed}
    jobs: dict[str, Any] = {"n_jobs": p.n_jobs, "progress": study.progress}

    predictions = study.nested.predictions
    headline = best_models(predictions)
    own = predictions["representation"].map(headline) == predictions["classifier"]
    nested = predictions[own].reset_index(drop=True)
    tests = confound_tests.confound_tests(
        nested, found, folder, n_permutations=p.confound_permutations, seed=p.seed, **jobs
    )
    chosen = [name for name in p.confound_removed if name in found.tables]
    lacking = [name for name in p.confound_removed if name not in found.tables]
    notes = [
        f"{', '.join(known.GROUPS[n] for n in lacking)} can't be regressed out: not given, or the "
        "same for everybody"
    ] * bool(lacking)
    results, paired = pd.DataFrame(), pd.DataFrame()
    if chosen:
        numbers = known.coded(found.together(chosen))
        results = compare(
            tables, labels, numbers, folder, classifiers=p.confound_classifiers,
            smote_k=p.smote_k, **how, **jobs,
        )  # fmt: skip
        # The store of the chapter on honest evaluation: the same cohorts.
        paired = paired_null.measure(
            int(labels.sum()),
            int((1 - labels).sum()),
            study.run_dir / "studies" / "honest" / "paired",
            n_cohorts=p.null_cohorts,
            **how,
            **jobs,
        )
    alone = confound_alone.predictability(found, labels, **how)
    cohort = study.cohort.participants
    minimum = p.hidden_below
    if disclosure.sex_hidden(cohort[cohort["participant_id"].isin(people)], minimum):
        alone, tests = without_sex(alone, tests)
        why = f"sex by itself, from which counts below {minimum} people could be computed"
        found = replace(found, lacking=[*found.lacking, why])
    return ConfoundStudy(
        confounds=found,
        labels=labels,
        alone=alone,
        headline=headline,
        nested=nested,
        tests=tests,
        removed=list(
            confound_alone.shown_groups(Confounds({n: found.tables[n] for n in chosen}, []))
        ),
        results=results,
        paired=paired,
        planted=planted(float(labels.mean()), p.seed),
        notes=notes,
    )


def without_sex(alone: pd.DataFrame, tests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out what sex by itself tells of the label, for pages that hide how many have which.

    Parameters
    ----------
    alone : pandas.DataFrame
        From :func:`alsnb.confound_alone.predictability`.
    tests : pandas.DataFrame
        From :func:`alsnb.confound_tests.confound_tests`.

    Returns
    -------
    tuple of pandas.DataFrame
        The first without the row of sex, the second without its correlation with the label.
    """
    sex = known.GROUPS["sex"]
    own = tests["confound"] == sex
    tests = tests.assign(r2_label_confound=tests["r2_label_confound"].mask(own))
    return alone[alone["name"] != sex].reset_index(drop=True), tests


def best_models(predictions: pd.DataFrame) -> dict[str, str]:
    """Name the classifier of highest AUC of each representation.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Of one protocol.

    Returns
    -------
    dict of str to str
        Classifier by representation, in the order of the predictions.
    """
    areas = pooled.pooled(predictions, metrics=("auc",), n_draws=0)
    order = areas.sort_values("estimate", ascending=False, kind="stable")
    best = order.drop_duplicates("representation").set_index("representation")["classifier"]
    return {str(r): str(best[r]) for r in dict.fromkeys(predictions["representation"])}


def compare(
    tables: Mapping[str, pd.DataFrame], labels: pd.Series, confounds: pd.DataFrame,
    folder: str | Path, *, classifiers: Sequence[str], n_folds: int = 3, seed: int = 42,
    smote_k: int = 5, n_jobs: int = 1, progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """Run models with and without confounds regressed out inside the folds.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Features by representation.
    labels : pandas.Series
        1 positive.
    confounds : pandas.DataFrame
        Numbers, from :func:`alsnb.confounds.coded`.
    folder : str or pathlib.Path
        Store of predictions.
    classifiers, n_folds, seed, smote_k
        As for :func:`alsnb.deconfound.nested`.
    n_jobs, progress
        As for :func:`alsnb.kept_tables.keep`.

    Returns
    -------
    pandas.DataFrame
        A row a model: representation, classifier, n_positive, n_negative; auc_before, auc_after
        and ba_before, ba_after with ``_lower`` and ``_upper`` (AUC: DeLong; balanced accuracy:
        bootstrap over people); difference of the AUCs with difference_lower, difference_upper
        and p (paired DeLong).
    """
    names = [(r, c) for r in tables for c in classifiers]
    calls = [
        (
            _predict,
            (tables[r], labels, own),
            {"representation": r, "classifier": c, "n_folds": n_folds, "seed": seed,
             "smote_k": smote_k},
        )
        for r, c in names
        for own in (None, confounds)
    ]  # fmt: skip
    code = features.code_hash(*_MODULES)
    found = kept_tables.keep(calls, Path(folder), code, "deconfounding", n_jobs, progress)
    rows = []
    for i, (r, c) in enumerate(names):
        rows.append({"representation": r, "classifier": c, **_pair(found[2 * i], found[2 * i + 1])})
    return pd.DataFrame(rows)


def _predict(table: pd.DataFrame, labels: pd.Series, own: Any, **how: Any) -> pd.DataFrame:
    return deconfound.nested(table, labels, own, **how).predictions


def _pair(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """Score one model with and without, and their paired difference."""
    both = pd.concat([before, after], ignore_index=True)
    head = tuple(before[["representation", "classifier"]].iloc[0])
    models = [(str(table["protocol"].iloc[0]), *head) for table in (before, after)]
    gap = delong.auc_difference(both, models[1], models[0])
    found: dict[str, Any] = {k: gap[k] for k in ("n_positive", "n_negative", "difference", "p")}
    found |= {"difference_lower": gap["lower"], "difference_upper": gap["upper"]}
    for when, table in (("before", before), ("after", after)):
        area = delong.auc_interval(table).iloc[0]
        balanced = pooled.pooled(table, metrics=("balanced_accuracy",), n_draws=1000).iloc[0]
        for metric, row, value in (("auc", area, "auc"), ("ba", balanced, "estimate")):
            found[f"{metric}_{when}"] = float(row[value])
            found |= {f"{metric}_{when}_{end}": float(row[end]) for end in ("lower", "upper")}
    return found


def planted(prevalence: float, seed: int, *, n: int = PLANTED) -> pd.DataFrame:
    """Show on noise with a known truth what regressing out does.

    Twenty features follow a confound that differs between the groups; in ``confound only`` that
    is all, in ``confound and effect`` five of them follow the label too.

    Parameters
    ----------
    prevalence : float
        Share of positives.
    seed : int
        Of the draws.
    n : int, default 300
        People.

    Returns
    -------
    pandas.DataFrame
        truth, n_positive, n_negative, auc_before, auc_after with ``_lower`` and ``_upper``.
    """
    rng = np.random.default_rng(seed)
    n_positive = int(np.clip(round(n * prevalence), 10, n - 10))
    y = np.r_[np.zeros(n - n_positive, dtype=int), np.ones(n_positive, dtype=int)]
    index = pd.Index([f"p{i:04d}" for i in rng.permutation(n)], name="participant_id")
    confound = 1.5 * y + rng.normal(size=n)
    noise = rng.normal(size=(n, 20)) + 0.5 * confound[:, None]
    effect = noise + np.r_[np.full(5, 0.7), np.zeros(15)] * y[:, None]
    labels, rows = pd.Series(y, index=index), []
    own = pd.DataFrame({"confound": confound}, index=index)
    for truth, values in (("confound only", noise), ("confound and effect", effect)):
        table = pd.DataFrame(values, index=index).add_prefix("f")
        how: dict[str, Any] = {"representation": truth, "classifier": "svm_linear", "seed": seed}
        pair = [deconfound.nested(table, labels, c, **how).predictions for c in (None, own)]
        kept = ("n_positive", "n_negative", "auc_before", "auc_after")
        scored = _pair(*pair)
        rows.append(
            {"truth": truth} | {k: v for k, v in scored.items() if k.startswith(kept)}
        )  # fmt: skip
    return pd.DataFrame(rows)
