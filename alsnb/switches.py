"""The switches by which the paper's text, the released scripts and nested tuning differ.

Turrisi et al., section 2.4, against rturrisige/T1wMRI4ALS_diagnosis at commit 2d0e873.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import pandas as pd
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from .classifiers import TREES
from .errors import ParameterError


def _switch(default: Any, says: str) -> Any:
    return field(default=default, metadata={"says": says})


_COUNT = (lambda v: v >= 1, "1 or more")
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("smote_k", "network_trials", "network_epochs"), _COUNT),
    "network_dropout": (lambda v: 0 <= v < 1, "0 or more and below 1"),
    "network_learning_rate": (lambda v: v > 0, "above 0"),
    "network_weight_decay": (lambda v: v >= 0, "0 or more"),
    "network_batch": (lambda v: v is None or v >= 1, "1 or more, or none for all rows"),
    "forest_sizes": (lambda v: len(v) > 0 and min(v) >= 1, "one number of trees or more"),
    "tuning_seed": (lambda v: 0 <= v < 2**32, "0 to 2^32 - 1"),
    "estimator_seed": (lambda v: v is None or 0 <= v < 2**31, "0 to 2^31 - 1, or none"),
}


@dataclass(frozen=True)
class Protocol:
    """One way of tuning and testing: the paper's text by default, each departure a switch.

    Two oddities of the released scripts have no switch, because they can't change a
    prediction: γ would be read from the linear machine's (empty) column, but is never used;
    and the forest's column is written ``RF:`` and read ``RF``, which crashes.
    """

    name: str = _switch("published", "how tables call this protocol")
    tune_on: Literal["all", "training_fold"] = _switch(
        "all", "rows of the grid search: the whole data set, or each training fold on its own"
    )
    tuning_splits: Literal["stratified_kfold", "shuffle_split_3", "shuffle_split_10"] = _switch(
        "stratified_kfold",
        "splits of the grid search: 3 shuffled stratified folds, or 3 or 10 stratified random "
        "splits with 20 % test (the text names both 3 folds and 20 %)",
    )
    tuning_seed: int = _switch(42, "random state of the grid search's splits")
    tuning_score: Literal["f1", "accuracy"] = _switch("f1", "score that the grid search maximises")
    smote_while_tuning: bool = _switch(True, "SMOTE on the grid search's training rows too")
    linear_svm: Literal["svc", "linearsvc_tuned"] = _switch(
        "svc", "tune SVM (L) as the SVC that is tested, or tune a LinearSVC and test an SVC"
    )
    apply_gamma_degree: bool = _switch(
        True, "test with the tuned γ and degree, or with scikit-learn's γ 'scale' and degree 3"
    )
    platt_scores: bool = _switch(
        False,
        "score support vector machines by Platt's probability (the scripts' probability=True) "
        "or by their signed distance to the boundary",
    )
    forest_sizes: tuple[int, ...] = _switch(TREES, "numbers of trees in the grid")
    shuffle_folds: bool = _switch(
        True,
        "shuffle subjects, sorted by id, before folding, so that the order of rows does not "
        "matter; or cut folds in the order given",
    )
    smote: bool = _switch(True, "balance training rows by SMOTE")
    smote_k: int = _switch(5, "neighbours that SMOTE uses, fewer where there are fewer")
    smote_before_scaling: bool = _switch(False, "SMOTE before standardising")
    estimator_seed: int | None = _switch(
        None, "seed of SMOTE, forest and networks; none takes the run's seed"
    )
    network_layers: Literal["paper", "released"] = _switch(
        "paper", "50-3-2 for both networks, or 300-100-2 (as DNNt) and 500-250-100-2 (as DNNv)"
    )
    network_dropout: float = _switch(0.2, "dropout probability")
    network_dropout_on_output: bool = _switch(True, "dropout after the last layer too")
    network_softmax: bool = _switch(False, "softmax before the cross-entropy's own")
    network_learning_rate: float = _switch(0.001, "Adam's learning rate")
    network_weight_decay: float = _switch(0.001, "Adam's L2 penalty")
    network_early_stopping: bool = _switch(True, "stop early and keep the best epoch's weights")
    network_batch: int | None = _switch(32, "rows per step (the text names none); none takes all")
    network_trials: int = _switch(5, "networks trained per fold, from different seeds")
    network_epochs: int = _switch(200, "longest training of a network")
    carry_networks: bool = _switch(False, "train one network on across the folds")
    auc_class: Literal[1, 0] = _switch(
        1, "AUC of the positive class, or of the negative class's score against the same labels"
    )
    auprc: Literal["average_precision", "trapezoid"] = _switch(
        "average_precision",
        "area under the precision-recall curve by steps, or between points by straight lines",
    )

    def with_(self, **switches: Any) -> Protocol:
        """Turn switches; the name then tells those that changed, unless one is given.

        Parameters
        ----------
        **switches
            Fields of `Protocol` and their new values.

        Returns
        -------
        Protocol
            The changed copy.

        Raises
        ------
        ParameterError
            No such switch, or a value it does not take.
        """
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(switches) - known):
            raise ParameterError(
                f"no switch {', '.join(unknown)}; there are {', '.join(sorted(known - {'name'}))}"
            )
        turned = [
            f"{key}={value}"
            for key, value in switches.items()
            if key != "name" and value != getattr(self, key)
        ]
        return replace(self, **{"name": ", ".join([self.name, *turned]), **switches})

    def __post_init__(self) -> None:
        choices: dict[str, tuple[Any, ...]] = {
            "tune_on": ("all", "training_fold"),
            "tuning_splits": ("stratified_kfold", "shuffle_split_3", "shuffle_split_10"),
            "tuning_score": ("f1", "accuracy"),
            "linear_svm": ("svc", "linearsvc_tuned"),
            "network_layers": ("paper", "released"),
            "auc_class": (1, 0),
            "auprc": ("average_precision", "trapezoid"),
        }
        for key, values in choices.items():
            if getattr(self, key) not in values:
                raise ParameterError(
                    f"{key} is {getattr(self, key)!r}; expected one of "
                    f"{', '.join(map(repr, values))}"
                )
        for key, (allowed, expected) in _RANGES.items():
            if not allowed(getattr(self, key)):
                raise ParameterError(f"{key} is {getattr(self, key)!r}; expected {expected}")

    def network(self, name: str) -> dict[str, Any]:
        """Return the arguments of `DNNClassifier` for ``"dnn_t"`` or ``"dnn_v"``."""
        released = {"dnn_t": (300, 100), "dnn_v": (500, 250, 100)}
        settings: dict[str, Any] = {
            "hidden": released[name] if self.network_layers == "released" else (50, 3),
            "dropout": self.network_dropout,
            "dropout_on_output": self.network_dropout_on_output,
            "softmax": self.network_softmax,
            "learning_rate": self.network_learning_rate,
            "weight_decay": self.network_weight_decay,
            "batch_size": self.network_batch,
            "max_epochs": self.network_epochs,
            "warm_start": self.carry_networks,
        }
        return settings if self.network_early_stopping else {**settings, "stop_on": None}

    def tuning_splitter(self) -> StratifiedKFold | StratifiedShuffleSplit:
        """Return the splitter of the grid search."""
        if self.tuning_splits == "stratified_kfold":
            return StratifiedKFold(3, shuffle=True, random_state=self.tuning_seed)
        n_splits = int(self.tuning_splits.rpartition("_")[2])
        return StratifiedShuffleSplit(n_splits, test_size=0.2, random_state=self.tuning_seed)


PROTOCOLS: dict[str, Protocol] = {
    "published": Protocol(),
    "released": Protocol(
        name="released",
        tuning_splits="shuffle_split_10",
        tuning_score="accuracy",
        smote_while_tuning=False,
        linear_svm="linearsvc_tuned",
        apply_gamma_degree=False,
        platt_scores=True,
        forest_sizes=(100, 200, 500),
        shuffle_folds=False,
        smote_before_scaling=True,
        estimator_seed=0,
        network_layers="released",
        network_dropout=0.0,
        network_softmax=True,
        network_learning_rate=0.0001,
        network_weight_decay=0.1,
        network_early_stopping=False,
        network_batch=None,
        network_trials=1,
        carry_networks=True,
        auc_class=0,
        auprc="trapezoid",
    ),
    "nested": Protocol(name="nested", tune_on="training_fold"),
}
"""The three protocols by name."""


def differences() -> pd.DataFrame:
    """Tabulate the switches by which the three protocols differ.

    Returns
    -------
    pandas.DataFrame
        Columns switch, published, released, nested and says (what the switch decides).
    """
    rows = [
        {
            "switch": f.name,
            **{name: getattr(p, f.name) for name, p in PROTOCOLS.items()},
            "says": f.metadata["says"],
        }
        for f in fields(Protocol)
        if f.name != "name" and len({getattr(p, f.name) for p in PROTOCOLS.values()}) > 1
    ]
    return pd.DataFrame(rows)
