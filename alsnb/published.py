"""Every number that the paper prints, and what its released code does instead, as data.

Paper: Turrisi, Forzanini, Stanziano et al., "AI-based model for T1-weighted brain MRI diagnoses
Amyotrophic Lateral Sclerosis". Values that can be read only off its figures (the cells of
Figure 4, for instance) are not here; :mod:`alsnb.audit` derives what the tables imply of them.

Code: github.com/rturrisige/T1wMRI4ALS_diagnosis at commit 2d0e873.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
import pandas as pd

from alsnb.errors import ParameterError

#: Classifiers in the order of the paper's Table 3, with their labels there.
CLASSIFIER_LABELS: dict[str, str] = {
    "svm_linear": "SVM (L)",
    "svm_poly": "SVM (P)",
    "svm_rbf": "SVM (RBF)",
    "svm_sigmoid": "SVM (S)",
    "knn": "Knn",
    "rf": "RF",
    "dnn_t": "DNNt",
    "dnn_v": "DNNv",
}
#: Image representations in the paper's order, with their labels.
REPRESENTATION_LABELS: dict[str, str] = {"radiomics": "Radiomics", "dl7": "DL7", "dl8": "DL8"}
#: Metrics in the order of Table 4.
METRIC_LABELS: dict[str, str] = {
    "f1": "F1-score",
    "precision": "Precision",
    "recall": "Recall",
    "auc": "AUC",
    "auprc": "AUPRC",
}
#: The classifier that the paper calls best for each representation (Table 4).
BEST_CLASSIFIER: dict[str, str] = {"radiomics": "dnn_v", "dl7": "svm_poly", "dl8": "svm_poly"}
#: Groups in the order of the demographic Table 1.
GROUP_LABELS: dict[str, str] = {"als": "ALS", "mimic": "Mimicking"}


def numbers() -> pd.DataFrame:
    """Return every printed number.

    Returns
    -------
    pandas.DataFrame
        Index ``key`` (dotted, for instance ``table3.dl7.svm_poly``), columns ``quantity``,
        ``printed`` (the text as printed), ``value`` (float), ``half_unit`` (half a unit of the
        last printed digit: the true value lies within it if rounding was to nearest), ``sd``,
        ``unit`` ("1" for a plain fraction, empty for none), ``where`` and ``note``.
    """
    return _numbers().copy()


def value(key: str) -> float:
    """Return one printed number.

    Parameters
    ----------
    key : str
        A key of :func:`numbers`.

    Returns
    -------
    float
        In the unit of :func:`numbers`.

    Raises
    ------
    ParameterError
        When no printed number has this key.
    """
    return float(_row(key)["value"])


def spread(key: str) -> float:
    """Return the standard deviation printed beside a number.

    Parameters
    ----------
    key : str
        A key of :func:`numbers`.

    Returns
    -------
    float
        In the number's unit; NaN where none is printed.

    Raises
    ------
    ParameterError
        When no printed number has this key.
    """
    return float(_row(key)["sd"])


def printed(key: str) -> str:
    """Return one number as the paper prints it, with its spread.

    Parameters
    ----------
    key : str
        A key of :func:`numbers`.

    Returns
    -------
    str
        For instance ``"91.76 ± 0.31"``, without unit.

    Raises
    ------
    ParameterError
        When no printed number has this key.
    """
    row = _row(key)
    return str(row["printed"]) + ("" if np.isnan(row["sd"]) else f" ± {row['sd']:g}")


def interval(key: str) -> tuple[float, float]:
    """Return the values that would be printed as a number was, by rounding to nearest.

    Parameters
    ----------
    key : str
        A key of :func:`numbers`.

    Returns
    -------
    low, high : float
        The printed number less and plus half a unit of its last digit.

    Raises
    ------
    ParameterError
        When no printed number has this key.
    """
    row = _row(key)
    return float(row["value"] - row["half_unit"]), float(row["value"] + row["half_unit"])


def table1() -> pd.DataFrame:
    """Return the demographic Table 1 of section 3.1.1.

    Returns
    -------
    pandas.DataFrame
        The columns of :func:`alsnb.demographics.counts`: ``variable``, ``level``, ``label``,
        ``group``, ``n``, ``percent`` (as printed).
    """
    rows = []
    for variable, levels in (("sex", ("F", "M")), ("age", ("<60", "60-75", ">75"))):
        for group, name in GROUP_LABELS.items():
            for level in levels:
                key = f"patients.{group}.{variable}.{level}"
                n, percent = int(value(f"{key}.n")), value(f"{key}.percent")
                rows.append((variable, level, int(group == "als"), name, n, percent))
    return pd.DataFrame(rows, columns=["variable", "level", "label", "group", "n", "percent"])


def ages() -> pd.DataFrame:
    """Return the ages that section 3.1.1 prints.

    Returns
    -------
    pandas.DataFrame
        One row per group: ``label``, ``group``, ``n``, ``mean``, ``sd``, ``median``, ``min``,
        ``max``; years.
    """
    rows = []
    for group, name in GROUP_LABELS.items():
        row: dict[str, object] = {"label": int(group == "als"), "group": name}
        row["n"] = int(value(f"text.{group}.n"))
        row["mean"], row["sd"] = value(f"text.{group}.age.mean"), spread(f"text.{group}.age.mean")
        row |= {k: value(f"text.{group}.age.{k}") for k in ("median", "min", "max")}
        rows.append(row)
    return pd.DataFrame(rows)


def composition() -> pd.DataFrame:
    """Return the diagnoses that section 2.1 prints.

    Returns
    -------
    pandas.DataFrame
        ``group``, ``diagnosis``, ``n``.
    """
    table = _numbers()
    chosen = table[table.index.str.match(r"cohort\.mimic\.")]
    rows = [("ALS", "amyotrophic lateral sclerosis", int(value("cohort.n.als")))]
    rows += [
        (GROUP_LABELS["mimic"], str(row["quantity"]), int(row["value"]))
        for _, row in chosen.iterrows()
    ]
    return pd.DataFrame(rows, columns=["group", "diagnosis", "n"])


def table2() -> pd.DataFrame:
    """Return Table 2: the tests of sex and age.

    Returns
    -------
    pandas.DataFrame
        ``variable``, ``test``, ``statistic_name``, ``statistic``, ``p``.
    """
    rows = [
        ("sex", "Pearson's χ²", "χ²", value("table2.sex.chi2"), value("table2.sex.p")),
        ("age", "Kolmogorov-Smirnov", "D", value("table2.age.ks"), value("table2.age.p")),
    ]
    return pd.DataFrame(rows, columns=["variable", "test", "statistic_name", "statistic", "p"])


def table3() -> pd.DataFrame:
    """Return Table 3: F1 of eight classifiers on three representations.

    Returns
    -------
    pandas.DataFrame
        24 rows in the paper's order: ``classifier`` and ``representation`` (labels as printed),
        ``classifier_name`` and ``representation_name`` (this package's), ``mean`` and ``sd``
        over folds in %.
    """
    rows = []
    for name, label in CLASSIFIER_LABELS.items():
        for representation, shown in REPRESENTATION_LABELS.items():
            key = f"table3.{representation}.{name}"
            rows.append((label, shown, name, representation, value(key), spread(key)))
    columns = ["classifier", "representation", "classifier_name", "representation_name"]
    return pd.DataFrame(rows, columns=[*columns, "mean", "sd"])


def table4() -> pd.DataFrame:
    """Return Table 4: five metrics of the best classifier per representation.

    Returns
    -------
    pandas.DataFrame
        Index ``metric`` (this package's names, in the paper's order), one column per
        representation; fractions.
    """
    cells = {
        representation: [value(f"table4.{representation}.{metric}") for metric in METRIC_LABELS]
        for representation in REPRESENTATION_LABELS
    }
    return pd.DataFrame(cells, index=pd.Index(METRIC_LABELS, name="metric"))


def hyperparameters() -> pd.DataFrame:
    """Return the hyper-parameter Table 1 of section 2.4.

    Returns
    -------
    pandas.DataFrame
        24 rows: ``representation``, ``classifier`` (this package's names), ``parameter`` ("k",
        "n", "c", "degree", "gamma"), ``value``.
    """
    table = _numbers()
    chosen = table[table.index.str.startswith("hyperparameters.")]
    parts = chosen.index.str.split(".", expand=True).to_frame(index=False).iloc[:, 1:]
    parts.columns = pd.Index(["representation", "classifier", "parameter"])
    return parts.assign(value=chosen["value"].to_numpy())


def grids() -> dict[tuple[str, str], list[float]]:
    """Return the grids that section 2.4 prints.

    Returns
    -------
    dict
        ``(classifier, parameter)`` to values, as in :func:`hyperparameters`.
    """
    table = _numbers()["value"]

    def found(prefix: str) -> list[float]:
        return [float(v) for v in table[table.index.str.startswith(f"grid.{prefix}.")]]

    result = {("knn", "k"): found("knn.k"), ("rf", "n"): found("rf.n")}
    result |= {(name, "c"): found("svm.c") for name in CLASSIFIER_LABELS if "svm" in name}
    result |= {("svm_poly", "degree"): found("svm_poly.degree")}
    return result | {("svm_rbf", "gamma"): found("svm_rbf.gamma")}


def text_against_code() -> pd.DataFrame:
    """Return where the paper's text and the released scripts differ.

    Returns
    -------
    pandas.DataFrame
        ``item``, ``switch`` (field of :class:`alsnb.switches.Protocol`, or the parameter of the
        deep features, that turns it; empty where none does), ``text``, ``where`` (in the paper),
        ``code``, ``file`` (file and function at the commit named above), ``consequence``.
    """
    path = resources.files("alsnb") / "data" / "text_against_code.csv"
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


@functools.cache
def _numbers() -> pd.DataFrame:
    path = resources.files("alsnb") / "data" / "published.csv"
    with path.open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, index_col="key")
    decimals = table["printed"].str.partition(".")[2].str.len()
    table.insert(2, "value", table["printed"].astype(float))
    table.insert(3, "half_unit", 0.5 * 10.0 ** -decimals.to_numpy(float))
    table["sd"] = pd.to_numeric(table["sd"].replace("", np.nan)).astype(float)
    return table


def _row(key: str) -> pd.Series:
    table = _numbers()
    if key not in table.index:
        raise ParameterError(f"the paper prints no number called {key!r}")
    return pd.Series(table.loc[key])
