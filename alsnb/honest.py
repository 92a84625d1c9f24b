"""Honest evaluation: a study's nested predictions beside baselines, with every doubt measured.

This module brings together what its neighbours compute (baselines, intervals, permutation
tests, repeated splits, comparisons and the verdict); `alsnb.honest_tables` lays it out.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsnb import (
    baselines,
    comparison,
    delong,
    evaluation,
    paired_null,
    permutation,
    pooled,
    switch_study,
)
from alsnb.classifiers import CLASSIFIERS
from alsnb.narrative import NAMES
from alsnb.parameters import Parameters
from alsnb.primary_test import PrimaryTest, primary_test
from alsnb.switches import PROTOCOLS
from alsnb.verdict import Verdict, judge

if TYPE_CHECKING:
    from alsnb.study import Study

#: Scores of the chapter's tables, in order.
METRICS = ("f1", "balanced_accuracy", "mcc", "specificity", "auc", "auprc")
#: Models whose score is a probability; a distance to a boundary has no Brier score.
PROBABILITIES = ("knn", "rf", "dnn_t", "dnn_v", *baselines.BASELINES)
#: Display names of everything scored here; views, for plugins add to them later.
LABELS = ChainMap(CLASSIFIERS, baselines.BASELINES, {"ridge": "ridge (declared)"})
REPRESENTATIONS = ChainMap(NAMES, {baselines.REPRESENTATION: "Baselines"})
#: The reference of every F1.
ALWAYS = ("nested", baselines.REPRESENTATION, "always_positive")


@dataclass(frozen=True)
class Honest:
    """What was measured.

    Attributes
    ----------
    predictions : pandas.DataFrame
        The record: baselines, the declared ridge classifier and every model of the nested
        protocol.
    scores : pandas.DataFrame
        representation, classifier, metric, estimate, lower, upper: percentile intervals over
        people, for AUC DeLong's; metric ``brier`` too where the score is a probability.
    primary : dict of str to PrimaryTest
        The declared analysis by representation.
    tests, null : pandas.DataFrame
        From :func:`alsnb.permutation.permutation_tests`.
    splits : pandas.DataFrame
        split, seed, representation, classifier, metric, value: the nested protocol on other
        folds.
    comparisons : pandas.DataFrame
        From :func:`alsnb.comparison.compare`: best models of the representations.
    paired : pandas.DataFrame
        From :func:`alsnb.paired_null.measure`: how often these tests find a difference where there
        is none; empty where nothing is compared.
    lead : pandas.DataFrame
        From :func:`alsnb.comparison.against`: F1 of every model less that of calling everybody
        positive.
    lead_p : float
        Chance that the best of them leads as much by luck.
    lacking : list of str
        Baselines that could not be had, and why.
    verdict : Verdict
        What follows.
    """

    predictions: pd.DataFrame
    scores: pd.DataFrame
    primary: dict[str, PrimaryTest]
    tests: pd.DataFrame
    null: pd.DataFrame
    splits: pd.DataFrame
    comparisons: pd.DataFrame
    paired: pd.DataFrame
    lead: pd.DataFrame
    lead_p: float
    lacking: list[str]
    verdict: Verdict

    @property
    def nested(self) -> pd.DataFrame:
        """The record of the nested protocol's models alone."""
        others = [baselines.REPRESENTATION]
        own = ~self.predictions["representation"].isin(others)
        return self.predictions[own & (self.predictions["classifier"] != "ridge")]

    @property
    def counts(self) -> tuple[int, int]:
        """People of the positive and of the negative class."""
        people = self.predictions.drop_duplicates("participant_id")["y_true"]
        return int(people.sum()), int((1 - people).sum())


def run(study: Study) -> Honest:
    """Evaluate a study's nested predictions.

    Parameters
    ----------
    study : alsnb.study.Study
        With the nested protocol's record, or all that it takes to make it.

    Returns
    -------
    Honest
        Permutations and repeated splits are kept in the run folder, so that an interrupted run
        goes on.

    Raises
    ------
    CohortError
        When the classes are too small.
    """
    tables = study.representations()
    labels = study.labels(next(iter(tables.values())).index)
    covariates, lacking = baselines.known_covariates(
        study.cohort.participants, study.masks.features, labels.index
    )
    found = evaluate(
        tables,
        labels,
        study.nested.predictions,
        covariates,
        study.params,
        study.run_dir / "studies" / "honest",
        groups=study.cohort.names,
        progress=study.progress,
    )
    return replace(found, lacking=lacking)


def evaluate(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    nested: pd.DataFrame,
    covariates: Mapping[str, pd.DataFrame],
    params: Parameters,
    folder: Path,
    *,
    groups: tuple[str, str] = ("negative", "positive"),
    progress: bool = True,
) -> Honest:
    """Evaluate the nested protocol's predictions on some feature tables.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index participant_id.
    labels : pandas.Series
        1 positive, by participant_id.
    nested : pandas.DataFrame
        The nested protocol's record on them.
    covariates : mapping of str to pandas.DataFrame
        Of the baselines that use some.
    params : alsnb.parameters.Parameters
        The sections "Honest evaluation" and "Classification", the seed and ``n_jobs``.
    folder : pathlib.Path
        Store of permutations and repeated splits.
    groups : tuple of str
        Names of the negative and of the positive class.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    Honest
        Of these tables.

    Raises
    ------
    CohortError
        When the classes are too small.
    """
    p = params
    simple = baselines.all_baselines(labels, covariates, n_folds=p.n_folds, seed=p.seed)
    primary = {
        name: primary_test(
            table,
            labels,
            seed=p.seed,
            n_permutations=p.primary_permutations,
            n_folds=p.n_folds,
            representation=name,
        )
        for name, table in tables.items()
    }
    declared = [test.predictions for test in primary.values()]
    predictions = pd.concat([simple, *declared, nested], ignore_index=True)
    tests, null = permutation.permutation_tests(
        tables, labels, nested, p, folder, progress=progress
    )
    draws = pooled.bootstrap(
        pd.concat([simple[simple["classifier"] == ALWAYS[-1]], nested]),
        metrics=["f1"],
        n_draws=p.honest_draws,
        seed=p.seed,
    )
    lead, lead_p = comparison.against(draws, ALWAYS)
    best = evaluation.best_models(nested)
    paired = pd.DataFrame()
    if len(best) > 1:
        paired = paired_null.measure(
            int(labels.sum()), int((1 - labels).sum()), folder / "paired", n_folds=p.n_folds,
            seed=p.seed, n_cohorts=p.null_cohorts, n_jobs=p.n_jobs, progress=progress,
        )  # fmt: skip
    negative, positive = groups
    return Honest(
        predictions=predictions,
        scores=scores(predictions, n_draws=p.honest_draws, seed=p.seed),
        primary=primary,
        tests=tests,
        null=null,
        splits=repeated(tables, labels, covariates, p, folder, progress=progress),
        comparisons=comparison.compare(nested, comparison.pairs_of(best)),
        paired=paired,
        lead=lead,
        lead_p=lead_p,
        lacking=[],
        verdict=judge(
            primary, positive=positive, negative=negative, useful=p.useful_auc, names=NAMES
        ),
    )


def scores(predictions: pd.DataFrame, *, n_draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Score every model, with 95 % intervals over people.

    Parameters
    ----------
    predictions : pandas.DataFrame
        A record.
    n_draws : int, default 1000
        Bootstrap draws.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        representation, classifier, metric, estimate, lower, upper. AUC has DeLong's interval,
        missing where that has no variance.
    """
    drawn = pooled.pooled(predictions, metrics=METRICS, n_draws=n_draws, seed=seed)
    area = delong.auc_interval(predictions).rename(columns={"auc": "estimate"})
    area = area.assign(metric="auc")
    squares = brier(predictions, n_draws=n_draws, seed=seed)
    columns = ["representation", "classifier", "metric", "estimate", "lower", "upper"]
    parts = [part[columns] for part in (drawn[drawn["metric"] != "auc"], area, squares)]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def brier(predictions: pd.DataFrame, *, n_draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Give the Brier score, the mean squared error of a probability, where there is one.

    Parameters
    ----------
    predictions : pandas.DataFrame
        A record; a model whose scores leave 0 to 1, or are distances, has none.
    n_draws : int, default 1000
        Bootstrap draws of people, for a 95 % interval.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        protocol, representation, classifier, metric ("brier"), estimate, lower, upper; mean over
        repeats.
    """
    rows = []
    known = predictions[predictions["classifier"].isin(PROBABILITIES)]
    for key, model in known.groupby(evaluation.KEY, sort=False):
        if not model["score"].between(0, 1).all():
            continue
        squares = (model["score"] - model["y_true"]) ** 2
        by_subject = squares.groupby(model["participant_id"]).mean().to_numpy()
        n = len(by_subject)
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
        low, high = np.quantile(drawn @ by_subject / n, [0.025, 0.975])
        values = {"metric": "brier", "estimate": by_subject.mean(), "lower": low, "upper": high}
        rows.append(dict(zip(evaluation.KEY, key, strict=True)) | values)
    columns = [*evaluation.KEY, "metric", "estimate", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns)


def repeated(
    tables: Mapping[str, pd.DataFrame],
    labels: pd.Series,
    covariates: Mapping[str, pd.DataFrame],
    params: Parameters,
    folder: Path,
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the nested protocol, the declared classifier and the baselines on other folds.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Feature matrix by representation, index participant_id.
    labels : pandas.Series
        1 positive, by participant_id.
    covariates : mapping of str to pandas.DataFrame
        Of the baselines.
    params : alsnb.parameters.Parameters
        The sections "Honest evaluation" and "Classification", the seed and ``n_jobs``.
    folder : pathlib.Path
        Store of the predictions.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        split (0 the run's own), seed (of folds, SMOTE and estimators), representation,
        classifier, metric (f1, balanced_accuracy, auc), value.
    """
    plan = replace(
        PROTOCOLS["nested"],
        smote_k=params.smote_k,
        network_trials=params.dnn_trials,
        network_epochs=params.dnn_epochs,
    )
    seeds = range(params.seed, params.seed + params.honest_seeds)
    tasks = {
        (seed, r, c): switch_study.prediction_task(
            table, labels, c, (plan, seed), params.n_folds, folder / "splits"
        )
        for seed in seeds
        for r, table in tables.items()
        for c in params.honest_classifiers
    }
    switch_study.predict(
        list(tasks.values()), n_jobs=params.n_jobs, progress=progress, said="repeated splits"
    )
    records: dict[tuple[int, str, str], pd.DataFrame] = {
        (seed, r, c): pd.read_parquet(task.path) for (seed, r, c), task in tasks.items()
    }
    how: dict[str, Any] = {"n_folds": params.n_folds}
    for seed in seeds:
        for r, table in tables.items():
            test = primary_test(table, labels, seed=seed, n_permutations=0, **how)
            records[seed, r, "ridge"] = test.predictions
        for name, table in covariates.items():
            records[seed, baselines.REPRESENTATION, name] = baselines.covariate_predictions(
                table, labels, name=name, seed=seed, **how
            )
    rows = []
    for (seed, r, c), record in records.items():
        head = {"protocol": "nested", "representation": r, "classifier": c}
        made = pooled.pooled(
            record.assign(**head), metrics=["f1", "balanced_accuracy", "auc"], n_draws=0
        )
        rows.append(made.assign(seed=seed, split=seed - params.seed))
    table = pd.concat(rows, ignore_index=True).rename(columns={"estimate": "value"})
    return table[["split", "seed", "representation", "classifier", "metric", "value"]]
