"""What the protocols and the primary test say of cohorts in which there is nothing to find.

No image is needed: a null cohort is either noise with the correlations of the run's own
features, or those features with their labels shuffled. Both have as many positive and negative
people as the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray
from scipy.stats import binom, norm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import proportion_confint

from alsnb import classification, delong, features, pooled, protocols
from alsnb.errors import CohortError
from alsnb.parameters import Parameters
from alsnb.primary_test import PrimaryTest, primary_test
from alsnb.progress import bar
from alsnb.scheduling import unordered

Floats = NDArray[np.float64]

#: Kinds of null cohort, and how a page calls them.
KINDS = {"noise": "noise features", "shuffled": "shuffled labels"}
#: Protocols compared.
PROTOCOLS = ("published", "released", "nested")
#: Scores compared, named as in :data:`alsnb.evaluation.METRICS`.
METRICS = ("f1", "balanced_accuracy", "auc")
#: A test rejects at this level.
LEVEL = 0.05
_MODULES = (
    *classification.MODULES, "alsnb.primary_test", "alsnb.delong", "alsnb.pooled",
    "alsnb.null_study",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is drawn and tested.

    Attributes
    ----------
    n_tests : int
        Cohorts of each kind that the primary test is run on.
    n_permutations : int
        Of each test.
    n_scored : int
        Cohorts of each kind that the protocols are run on.
    classifiers : tuple of str
        Run under each protocol.
    effect : float
        Shift of the planted cohorts along the features' first principal component, in standard
        deviations of it.
    n_folds, smote_k : int
        Of tests and protocols.
    seed : int
        First seed.
    """

    n_tests: int = 200
    n_permutations: int = 199
    n_scored: int = 6
    classifiers: tuple[str, ...] = ("svm_poly", "svm_rbf")
    effect: float = 1.0
    n_folds: int = 3
    smote_k: int = 5
    seed: int = 42


@dataclass(frozen=True)
class NullStudy:
    """What was found where there is nothing, and where a known shift is.

    Attributes
    ----------
    tests : pandas.DataFrame
        A row a cohort: kind ("noise", "shuffled" or "planted"), cohort, auc, p, lower, upper
        (the declared test's interval), delong_lower, delong_upper (DeLong's alone), truth (AUC
        of the fitted models on everybody there could be; NaN for shuffled labels).
    scores : pandas.DataFrame
        A row a cohort, protocol and classifier: kind, cohort, protocol, classifier, f1,
        balanced_accuracy, auc, best (highest F1 of its cohort and protocol).
    n_positive, n_negative : int
        People of each cohort.
    notes : list of str
        Protocols that could not be run, and why.
    """

    tests: pd.DataFrame
    scores: pd.DataFrame
    n_positive: int
    n_negative: int
    notes: list[str]


def settings(params: Parameters) -> Settings:
    """Take the study's settings from a run's parameters.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "Controls", folds, SMOTE's neighbours and the seed.

    Returns
    -------
    Settings
    """
    p = params
    return Settings(
        n_tests=p.null_cohorts,
        n_permutations=p.null_permutations,
        n_scored=p.null_protocol_cohorts,
        classifiers=tuple(dict.fromkeys(p.null_classifiers)),
        effect=p.null_effect,
        n_folds=p.n_folds,
        smote_k=p.smote_k,
        seed=p.seed,
    )


class Noise:
    """Normal people with the covariance of a feature table, one group shifted.

    Parameters
    ----------
    table : pandas.DataFrame
        Features of real or simulated people.
    labels : pandas.Series
        Only their order and counts are used.
    effect : float, default 0.0
        Shift of the positive group along the first principal component, in its standard
        deviations.

    Attributes
    ----------
    root : numpy.ndarray, shape (people, features)
        Standardised features, divided so that their cross-product is their covariance.
    shift : numpy.ndarray, shape (features,)
    """

    def __init__(self, table: pd.DataFrame, labels: pd.Series, effect: float = 0.0):
        self.labels = labels.loc[table.index]
        self.columns = table.columns
        scaled = StandardScaler().fit_transform(table.to_numpy(dtype=np.float64))
        self.root = scaled / np.sqrt(len(scaled) - 1)
        _, sizes, components = np.linalg.svd(self.root, full_matrices=False)
        self.shift = effect * sizes[0] * components[0]

    def draw(self, rng: np.random.Generator) -> pd.DataFrame:
        """Draw one cohort.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the draw.

        Returns
        -------
        pandas.DataFrame
            As many people as in the table, with its index and columns.
        """
        people = rng.standard_normal((len(self.labels), len(self.root))) @ self.root
        people += self.labels.to_numpy()[:, None] * self.shift
        return pd.DataFrame(people, index=self.labels.index, columns=self.columns)

    def true_auc(self, cohort: pd.DataFrame, result: PrimaryTest) -> float:
        """Give the AUC that the models fitted on a cohort have among all people there could be.

        Parameters
        ----------
        cohort : pandas.DataFrame
            As drawn.
        result : PrimaryTest
            Of that cohort.

        Returns
        -------
        float
            Mean over outer folds, weighted by their pairs. A fold's model is linear, so its scores
            are normal in both groups and its AUC is Φ(w·δ / √(2 w'Σw)).
        """
        record = result.predictions.set_index("participant_id")
        total, pairs = 0.0, 0
        for fold, penalty in enumerate(result.penalties):
            train = record.index[record["fold"] != fold]
            scaler = StandardScaler().fit(cohort.loc[train].to_numpy())
            ridge = Ridge(alpha=penalty * cohort.shape[1])
            ridge.fit(scaler.transform(cohort.loc[train].to_numpy()), record.loc[train, "y_true"])
            weights = ridge.coef_ / scaler.scale_
            spread = np.sqrt(2) * np.linalg.norm(self.root @ weights)
            y = record.loc[record["fold"] == fold, "y_true"]
            own = int(y.sum() * (1 - y).sum())
            total += own * float(norm.cdf(weights @ self.shift / spread)) if spread else own / 2
            pairs += own
        return total / pairs


def run(
    table: pd.DataFrame,
    labels: pd.Series,
    settings: Settings,
    folder: str | Path,
    *,
    n_jobs: int = 1,
    progress: bool = True,
) -> NullStudy:
    """Draw null cohorts, and cohorts with a known shift, and test them.

    Parameters
    ----------
    table : pandas.DataFrame
        The run's features, index ``participant_id``.
    labels : pandas.Series
        1 positive, for the same people.
    settings : Settings
        How many, and what is run.
    folder : str or pathlib.Path
        Store; a stopped call goes on where it was.
    n_jobs : int, default 1
        Processes of one thread. The result does not depend on it.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    NullStudy

    Raises
    ------
    CohortError
        Too few people for the primary test.
    """
    folder, labels = Path(folder), labels.loc[table.index]
    key = features.fingerprint(
        pd.util.hash_pandas_object(table).to_numpy().tolist(),
        list(table.columns),
        labels.to_dict(),
        asdict(settings),
        features.code_hash(*_MODULES),
    )[:16]
    tests = folder / f"tests-{key}.parquet"
    if not tests.is_file():
        batches = folder / f"tests-{key}"
        features.write_table(tests, _tests(table, labels, settings, batches, n_jobs, progress))
    tasks = [(kind, i) for i in range(settings.n_scored) for kind in KINDS]
    paths = {task: folder / f"scores-{key}" / f"{task[0]}-{task[1]}.parquet" for task in tasks}
    missing = [task for task in tasks if not paths[task].is_file()]
    jobs = (delayed(_scored)(table, labels, settings, t, paths[t]) for t in missing)
    done = unordered(jobs, n_jobs)
    for _ in bar(done, total=len(missing), said="null cohorts", unit="cohort", shown=progress):
        pass
    parts = pd.concat([pd.read_parquet(paths[task]) for task in tasks], ignore_index=True)
    failed = parts["note"] != ""
    scores = parts[~failed].drop(columns="note").reset_index(drop=True)
    groups = scores.groupby(["kind", "cohort", "protocol"])
    scores["best"] = scores.index.isin(groups["f1"].idxmax()) if len(scores) else False
    notes = list(dict.fromkeys(parts.loc[failed, "note"]))
    counts = int(labels.sum()), int((1 - labels).sum())
    return NullStudy(pd.read_parquet(tests), scores, *counts, notes)


def _streams(settings: Settings, kind: str, part: int) -> Iterator[np.random.Generator]:
    """Give a random stream for each cohort of a kind."""
    place = [*KINDS, "planted"].index(kind)
    for i in range(max(settings.n_tests, settings.n_scored)):
        yield np.random.default_rng(
            np.random.SeedSequence(settings.seed, spawn_key=(part, place, i))
        )


def _tests(
    table: pd.DataFrame,
    labels: pd.Series,
    settings: Settings,
    folder: Path,
    n_jobs: int,
    progress: bool,
) -> pd.DataFrame:
    kinds = [*KINDS, "planted"]
    tasks = [(kind, i) for kind in kinds for i in range(settings.n_tests)]
    # Tests take milliseconds: a worker is given many at once, and each batch is kept.
    size = min(100, max(1, -(-len(tasks) // 16)))
    batches = {folder / f"{i}.parquet": tasks[i : i + size] for i in range(0, len(tasks), size)}
    missing = {path: batch for path, batch in batches.items() if not path.is_file()}
    jobs = (
        delayed(_tested)(table, labels, settings, batch, path) for path, batch in missing.items()
    )
    done = unordered(jobs, n_jobs)
    for _ in bar(done, total=len(missing), said="null tests", unit="part", shown=progress):
        pass
    return pd.concat([pd.read_parquet(path) for path in batches], ignore_index=True)


def _tested(
    table: pd.DataFrame,
    labels: pd.Series,
    settings: Settings,
    tasks: Sequence[tuple[str, int]],
    path: Path,
) -> None:
    rows = []
    noise = {k: Noise(table, labels, settings.effect * (k == "planted")) for k, _ in tasks}
    streams = {kind: list(_streams(settings, kind, 0)) for kind in noise}
    for kind, i in tasks:
        cohort, own = _cohort(table, labels, noise[kind], kind, streams[kind][i])
        result = primary_test(
            cohort,
            own,
            seed=settings.seed + i,
            n_permutations=settings.n_permutations,
            n_folds=settings.n_folds,
        )
        truth = np.nan if kind == "shuffled" else noise[kind].true_auc(cohort, result)
        found = {k: getattr(result, k) for k in ("auc", "p", "lower", "upper")}
        alone = delong.auc_interval(result.predictions).iloc[0]
        found |= {f"delong_{k}": float(alone[k]) for k in ("lower", "upper")}
        rows.append({"kind": kind, "cohort": i, **found, "truth": truth})
    features.write_table(path, pd.DataFrame(rows))


def _cohort(
    table: pd.DataFrame, labels: pd.Series, noise: Noise, kind: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.Series]:
    if kind == "shuffled":
        return table, pd.Series(rng.permutation(labels.to_numpy()), index=labels.index)
    return noise.draw(rng), labels


def _scored(
    table: pd.DataFrame,
    labels: pd.Series,
    settings: Settings,
    task: tuple[str, int],
    path: Path,
) -> None:
    kind, i = task
    # The same cohorts that the primary test is run on.
    rng = list(_streams(settings, kind, 0))[i]
    cohort, own = _cohort(table, labels, Noise(table, labels), kind, rng)
    rows = []
    for protocol in PROTOCOLS:
        for classifier in settings.classifiers:
            head = {"kind": kind, "cohort": i, "protocol": protocol, "classifier": classifier}
            try:
                made = protocols.run(
                    cohort,
                    own,
                    representation="null",
                    classifier=classifier,
                    protocol=protocol,
                    n_folds=settings.n_folds,
                    seed=settings.seed + i,
                    smote_k=settings.smote_k,
                )
            except CohortError as error:
                nothing = dict.fromkeys(METRICS, np.nan)
                rows.append(head | nothing | {"note": f"{protocol}, {classifier}: {error}"})
                continue
            drawn = pooled.bootstrap(made.predictions, metrics=METRICS, n_draws=0)
            scores = {metric: float(values[0]) for (_, metric), values in drawn.items()}
            rows.append(head | scores | {"note": ""})
    features.write_table(path, pd.DataFrame(rows))


def share(hits: int, of: int) -> dict[str, float]:
    """Give a share with its exact 95 % interval (Clopper and Pearson 1934).

    Parameters
    ----------
    hits, of : int
        Counts; `of` at least 1.

    Returns
    -------
    dict
        hits, of, share, lower, upper.
    """
    lower, upper = proportion_confint(hits, of, method="beta")
    # statsmodels leaves the open end of none or all undefined in some versions.
    ends = {"lower": 0.0 if hits == 0 else lower, "upper": 1.0 if hits == of else upper}
    return {"hits": hits, "of": of, "share": hits / of, **{k: float(v) for k, v in ends.items()}}


def rejections(study: NullStudy) -> pd.DataFrame:
    """Count how often the primary test finds something.

    Parameters
    ----------
    study : NullStudy
        From `run`.

    Returns
    -------
    pandas.DataFrame
        Index kind; hits, of, share, lower, upper (exact 95 %).
    """
    found = study.tests.groupby("kind", sort=False)["p"]
    rows = {k: share(int((p <= LEVEL).sum()), len(p)) for k, p in found}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("kind")


def coverage(study: NullStudy) -> pd.DataFrame:
    """Count how often the 95 % interval of the AUC holds the AUC that the models really have.

    Parameters
    ----------
    study : NullStudy
        From `run`.

    Returns
    -------
    pandas.DataFrame
        A row a kind ("noise", "planted") and interval ("declared", "delong"): kind, interval,
        hits, of, share, lower, upper, truth (mean), auc (mean of the estimates), width (mean),
        undefined (cohorts whose interval is undefined, counted as missing the truth).
    """
    rows = []
    for kind, own in study.tests.dropna(subset="truth").groupby("kind", sort=False):
        for interval, prefix in (("declared", ""), ("delong", "delong_")):
            low, high = own[f"{prefix}lower"], own[f"{prefix}upper"]
            held = (low <= own["truth"]) & (own["truth"] <= high)
            rows.append(
                {"kind": kind, "interval": interval}
                | share(int(held.sum()), len(own))
                | {
                    "truth": float(own["truth"].mean()),
                    "auc": float(own["auc"].mean()),
                    "width": float((high - low).mean()),
                    "undefined": int(low.isna().sum()),
                }
            )
    return pd.DataFrame(rows)


def uniform_band(n: int) -> pd.DataFrame:
    """Give the band in which the share of p-values up to each value lies if they are uniform.

    Parameters
    ----------
    n : int
        Cohorts.

    Returns
    -------
    pandas.DataFrame
        p, lower, upper: the middle 95 % at each value (binomial).
    """
    p = np.linspace(0, 1, 201)
    low, high = (binom.ppf(q, n, p) / n for q in (0.025, 0.975))
    return pd.DataFrame({"p": p, "lower": np.maximum(low, 0), "upper": high})
