"""The scorecard's verdicts on runs whose answer is known (oracle).

Predictions are made by hand so that every cell of Table 3 comes out as printed; then one thing at
a time is spoilt, and that thing alone has to change its verdict.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import auc, f1_score, precision_recall_curve, roc_auc_score

from alsnb import pooled, protocols, published, scorecard
from alsnb.protocols import ProtocolResult
from alsnb.scorecard import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, Setting
from alsnb.simulated_composition import composition

REAL = Setting(simulated=False, positive="ALS", n_positive=548, n_negative=106)
WIDTHS = {"radiomics": 107, "dl7": 256, "dl8": 256}
#: Folds that stratification gives: people with ALS and mimics in each test set.
FOLDS = ((183, 35), (183, 35), (182, 36))


def people(n: int = 654) -> pd.DataFrame:
    table = composition(n)
    return table.assign(label=(table["group"] == "ALS").astype(int), age=table["age"].astype(float))


def fold_of(f1: float, n_positive: int, n_negative: int) -> tuple[int, int]:
    """True and false positives of a fold whose F1 is nearest to one asked for."""
    tp, fp = np.meshgrid(np.arange(n_positive + 1), np.arange(n_negative + 1), indexing="ij")
    gap = np.abs(2 * tp / (tp + fp + n_positive) - f1)
    at = np.unravel_index(np.argmin(gap), gap.shape)
    return int(tp[at]), int(fp[at])


def record(
    representation: str, classifier: str, f1: float = np.nan, calls: list | None = None
) -> pd.DataFrame:
    """Predictions of one model with a given F1, or true and false positives, in every fold."""
    rng = np.random.default_rng(0)
    parts, start = [], 0
    for fold, (n_positive, n_negative) in enumerate(FOLDS):
        tp, fp = calls[fold] if calls else fold_of(f1, n_positive, n_negative)
        truth = np.repeat([1, 0], [n_positive, n_negative])
        called = np.concatenate([np.arange(n_positive) < tp, np.arange(n_negative) < fp]).astype(
            int
        )
        names = [f"sub-{start + i:04d}" for i in range(len(truth))]
        start += len(truth)
        parts.append(
            pd.DataFrame(
                {
                    "participant_id": names,
                    "fold": fold,
                    "y_true": truth,
                    "score": called + 0.3 * rng.random(len(truth)),
                    "y_pred": called,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table.assign(
        protocol="published", representation=representation, classifier=classifier, repeat=0
    )


#: Precision 0.88 and recall 0.95 of the paper's best model, as whole people in each fold.
DL7_POLY = [(174, 24), (174, 24), (173, 23)]


@functools.cache
def full_run() -> ProtocolResult:
    """A run that reproduces everything in Table 3, its folds and its hyper-parameters."""
    parts = [
        record(
            row["representation_name"],
            row["classifier_name"],
            row["mean"] / 100,
            DL7_POLY
            if (row["representation_name"], row["classifier_name"]) == ("dl7", "svm_poly")
            else None,
        )
        for row in published.table3().to_dict("records")
    ]
    chosen = published.hyperparameters()
    chosen["parameter"] = chosen["parameter"].map(scorecard.PARAMETERS)
    sizes = pd.DataFrame({"fold": [0, 1, 2], "n_train": 436, "n_test": 218})
    sizes = sizes.assign(
        representation="radiomics", classifier="svm_linear", n_train_after_smote=[730, 730, 732]
    )
    return ProtocolResult(
        predictions=pd.concat(parts, ignore_index=True),
        chosen=chosen.assign(protocol="published", fold="all"),
        folds=sizes,
        grid=pd.DataFrame(),
        notes=[],
    )


@functools.cache
def two_models() -> ProtocolResult:
    """The same with two models of DL7 only, where the scores don't matter or hold no verdict."""
    full = full_run()
    part = full.predictions.query("representation == 'dl7' and classifier in ['knn', 'rf']")
    return replace(full, predictions=part)


@pytest.fixture
def run() -> ProtocolResult:
    return full_run()


def score(run: ProtocolResult, setting: Setting = REAL, who: pd.DataFrame | None = None, **more):
    table = people(setting.n_positive + setting.n_negative) if who is None else who
    card = scorecard.scorecard(table, WIDTHS, run, setting, n_draws=20, **more)
    return card.set_index("quantity")


@pytest.fixture(scope="module")
def card() -> pd.DataFrame:
    return score(full_run())


def verdicts(card: pd.DataFrame, part: str) -> pd.Series:
    return card.loc[card["part"] == part, "verdict"]


def test_a_run_made_to_reproduce_table3_does(card):
    for part, n in (("Table 3", 24), ("Hyper-parameters", 18), ("Features", 3), ("Folds", 3)):
        assert len(verdicts(card, part)) == n
        assert (verdicts(card, part) == REPRODUCED).all(), part
    assert (verdicts(card, "Claims") == REPRODUCED).all()
    for metric in ("F1-score", "Precision", "Recall"):
        assert card.loc[f"DL7, SVM (P): {metric}", "verdict"] == REPRODUCED


def test_our_values_are_those_of_scikit_learn(run, card):
    own = run.predictions.query("representation == 'dl7' and classifier == 'svm_poly'")
    folds = [fold for _, fold in own.groupby("fold")]
    f1 = np.array([100 * f1_score(f["y_true"], f["y_pred"]) for f in folds])
    area = np.mean([roc_auc_score(f["y_true"], f["score"]) for f in folds])
    assert card.loc["DL7, SVM (P)", "our_value"].tolist()[-1] == pytest.approx(f1.mean())
    assert card.loc["DL7, SVM (P): AUC", "our_value"] == pytest.approx(area)
    ours = card[(card["part"] == "Table 3")].loc["DL7, SVM (P)", "ours"]
    assert ours == f"{f1.mean():.2f} ± {f1.std():.2f}"
    # Off by more than is allowed, and said so.
    gap = abs(area - 0.69)
    assert (gap <= 0.05) == (card.loc["DL7, SVM (P): AUC", "verdict"] == REPRODUCED)


@pytest.mark.parametrize(("shift", "expected"), [(-0.025, NOT_REPRODUCED), (-0.015, REPRODUCED)])
def test_a_missed_cell_is_the_only_one_missed(run, shift, expected):
    """Tolerance 2 points: 2.5 are too many, 1.5 aren't."""
    printed = published.value("table3.dl8.svm_linear") / 100
    same = (run.predictions["representation"] == "dl8") & (
        run.predictions["classifier"] == "svm_linear"
    )
    moved = pd.concat([run.predictions[~same], record("dl8", "svm_linear", printed + shift)])
    found = score(replace(run, predictions=moved))
    cells = found[found["part"] == "Table 3"]["verdict"]
    assert cells["DL8, SVM (L)"] == expected
    assert (cells.drop("DL8, SVM (L)") == REPRODUCED).all()


def test_everybody_called_positive_reproduces_only_the_cells_near_its_f1(run):
    models = published.table3()[["representation_name", "classifier_name"]].to_numpy()
    calls = list(FOLDS)
    constant = pd.concat([record(r, c, calls=calls) for r, c in models])
    found = score(replace(run, predictions=constant))
    cells = found[found["part"] == "Table 3"]
    near = (cells["paper_value"] - 100 * f1_score([1] * 548 + [0] * 106, [1] * 654)).abs() <= 2
    assert ((cells["verdict"] == REPRODUCED) == near).all()
    assert near.sum() == 6 == scorecard.by_constant_call(91.18)
    assert found.loc["DL7 above DL8 with every classifier but Knn", "verdict"] == NOT_REPRODUCED
    assert found.loc["median F1 of all 24 (%)", "verdict"] == NOT_REPRODUCED


def test_other_hyperparameters_are_not_reproduced():
    chosen = two_models().chosen.copy()
    at = (chosen["classifier"] == "svm_rbf") & (chosen["representation"] == "dl7")
    chosen.loc[at & (chosen["parameter"] == "gamma"), "value"] = 1.0
    found = score(replace(two_models(), chosen=chosen)).query("part == 'Hyper-parameters'")
    assert found.index[found["verdict"] == NOT_REPRODUCED].tolist() == ["DL7, SVM (RBF)"]
    assert found.loc["DL7, SVM (RBF)", "ours"] == "C = 1, γ = 1"


def test_other_folds_are_not_reproduced():
    folds = two_models().folds.assign(n_train=[436, 436, 435], n_train_after_smote=[730, 730, 734])
    found = verdicts(score(replace(two_models(), folds=folds)), "Folds")
    assert found.tolist() == [NOT_REPRODUCED, REPRODUCED, NOT_REPRODUCED]


# Who was studied.


def test_the_papers_composition_reproduces_its_counts_but_not_its_chi_square(card):
    who = card[card["part"] == "People"]
    missed = who.index[who["verdict"] == NOT_REPRODUCED].tolist()
    # What the audit finds as well: the printed counts and D don't give these.
    assert missed == ["χ² of sex", "its p (χ²)", "its p (KS)"]
    assert (who.drop(missed)["verdict"] == REPRODUCED).all()
    women = who.loc["ALS, women"]
    assert (women["paper"], women["ours"]) == ("230 (42.0 %)", "230 (42.0 %)")
    # As printed, where the printed per cent don't follow from the count.
    for level, printed, ours in (("under 60", "31.1", "31.2"), ("60 to 75", "53.6", "53.5")):
        row = who.loc[f"ALS, {level}"]
        count = row["paper"].split()[0]
        assert (row["paper"], row["ours"]) == (f"{count} ({printed} %)", f"{count} ({ours} %)")
    # The paper prints no per cent of the groups.
    assert who.loc["ALS", "paper"] == "548 of 654"
    # Clopper and Pearson by the beta distribution.
    low, high = (100 * stats.beta.ppf(q, a, b) for q, a, b in
                 ((0.025, 230, 319), (0.975, 231, 318)))  # fmt: skip
    assert women["interval"] == f"{low:.1f} to {high:.1f} %"


def test_one_person_more_or_less_is_noticed():
    who = people()
    woman = who.index[(who["group"] == "ALS") & (who["sex"] == "F")][0]
    who.loc[woman, "sex"] = "M"
    found = score(two_models(), who=who)
    assert found.loc[["ALS, women", "ALS, men"], "verdict"].tolist() == [NOT_REPRODUCED] * 2
    assert found.loc["mimics, women", "verdict"] == REPRODUCED


@pytest.mark.parametrize("n", [8, 12, 47, 48, 120, 333, 653])
def test_the_simulated_composition_keeps_the_shares_at_every_n(n):
    who = people(n)
    sizes = who["label"].value_counts()
    setting = Setting(True, "ALS", int(sizes[1]), int(sizes[0]))
    found = score(two_models(), setting, who).query("part == 'People'")
    assert not (found["verdict"] == NOT_REPRODUCED).any()
    assert (found["verdict"] == REPRODUCED).sum() == 17
    assert found.loc["people", "verdict"] == NOT_COMPARABLE
    assert found.loc["χ² of sex", "reason"] == f"follows from n, here {n}"


def test_a_small_cohort_of_other_people_is_noticed():
    who = people(120)
    who.loc[who["group"] == "ALS", "sex"] = "M"
    who["age"] += 10
    found = score(two_models(), Setting(True, "ALS", 101, 19), who)
    for quantity in ("ALS, women", "ALS, men", "ALS, mean age ± sd (years)", "ALS, under 60"):
        assert found.loc[quantity, "verdict"] == NOT_REPRODUCED, quantity


def test_a_share_may_be_off_by_less_than_one_person_and_no_more():
    who = people(120)
    setting = Setting(True, "ALS", 101, 19)
    # 42 women of 101, where 42.4 would be the paper's share; one fewer is 1.4 short.
    assert score(two_models(), setting, who).loc["ALS, women", "ours"] == "42 (41.6 %)"
    who.loc[who.index[(who["group"] == "ALS") & (who["sex"] == "F")][0], "sex"] = "M"
    found = score(two_models(), setting, who).loc["ALS, women"]
    assert (found["verdict"], found["reason"]) == (NOT_REPRODUCED, "101 people would be 42.4")


# Intervals and tolerances.


def test_released_areas_are_those_of_the_scripts(run):
    """AUC of the negative class's scores against the same labels, AUPRC by straight lines."""
    found = score(run, replace(REAL, protocol="released"))
    own = run.predictions.query("representation == 'dl7' and classifier == 'svm_poly'")
    folds = [fold for _, fold in own.groupby("fold")]
    turned = np.mean([roc_auc_score(f["y_true"], -f["score"]) for f in folds])
    straight = []
    for f in folds:
        precision, recall, _ = precision_recall_curve(f["y_true"], f["score"])
        straight.append(auc(recall, precision))
    assert found.loc["DL7, SVM (P): AUC", "our_value"] == pytest.approx(turned)
    assert found.loc["DL7, SVM (P): AUPRC", "our_value"] == pytest.approx(np.mean(straight))
    # The interval is turned with it.
    low, high = map(float, found.loc["DL7, SVM (P): AUC", "interval"].split(" to "))
    assert low <= turned <= high
    assert score(run).loc["DL7, SVM (P): AUC", "our_value"] == pytest.approx(1 - turned)


def test_bootstrapped_released_areas_by_scikit_learn_with_weights():
    """Every draw is a weighted score: scikit-learn takes the same weights, fold by fold."""
    own = record("dl7", "knn", 0.8).sample(200, random_state=0)
    own["score"] = np.random.default_rng(1).integers(0, 12, 200) + own["y_true"]  # with ties
    subjects = np.sort(own["participant_id"])
    draws = pooled.bootstrap(
        own, metrics=["auc", "auprc"], n_draws=3, seed=5, auc_class=0, auprc="trapezoid"
    )
    key = ("published", "dl7", "knn")
    rng = np.random.default_rng(5)
    weights = [np.ones(200), *rng.multinomial(200, np.full(200, 1 / 200), size=3)]
    table = own.set_index("participant_id").loc[subjects]
    for i, weight in enumerate(weights):
        concordant = pairs = area = positives = 0.0
        for _, fold in table.assign(w=weight).groupby("fold"):
            y, s, w = (fold[c].to_numpy() for c in ("y_true", "score", "w"))
            n = w[y == 1].sum(), w[y == 0].sum()
            precision, recall, _ = precision_recall_curve(y, s, sample_weight=w)
            concordant += roc_auc_score(y, -s, sample_weight=w) * n[0] * n[1]
            pairs += n[0] * n[1]
            area += auc(recall, precision) * n[0]
            positives += n[0]
        assert draws[key, "auc"][i] == pytest.approx(concordant / pairs)
        assert draws[key, "auprc"][i] == pytest.approx(area / positives)


def test_intervals_of_scores_are_the_bootstraps(run, card):
    own = run.predictions.query("representation == 'dl7' and classifier == 'knn'")
    table = pooled.pooled(own, metrics=["f1"], n_draws=20, seed=0)
    low, high = 100 * table.loc[0, ["lower", "upper"]].to_numpy(float)
    ours = card[card["part"] == "Table 3"].loc["DL7, Knn", "interval"]
    assert ours == f"{low:.2f} to {high:.2f}"


def test_tolerances_of_scores_are_about_two_standard_deviations_over_seeds():
    """What another seed does at the paper's n; the declared widths say as much."""
    rng = np.random.default_rng(0)
    names = [f"sub-{i:04d}" for i in range(654)]
    y = pd.Series(np.repeat([1, 0], [548, 106]), index=names)
    x = rng.normal(size=(654, 64))
    # A weak difference in six of 64 features: AUC about 0.6, between chance and the paper's 0.69.
    x[:, :6] += 0.3 * y.to_numpy()[:, None]
    features = pd.DataFrame(x @ rng.normal(size=(64, 64)), index=names).add_prefix("f")
    moved = {}
    for classifier in ("svm_poly", "knn"):
        rows = []
        for seed in range(5):
            found = protocols.run(
                features, y, representation="dl7", classifier=classifier, seed=seed
            )
            folds = [f for _, f in found.predictions.groupby("fold")]
            f1 = np.mean([f1_score(f["y_true"], f["y_pred"]) for f in folds])
            area = np.mean([roc_auc_score(f["y_true"], f["score"]) for f in folds])
            rows.append((100 * f1, area))
        moved[classifier] = np.std(rows, axis=0, ddof=1)
    declared = scorecard.TOLERANCES
    # A standard deviation from five seeds is itself uncertain by a third: hence 1.5, not 2.
    assert 1.5 * moved["svm_poly"][0] < declared["f1"].width
    assert 1.5 * moved["svm_poly"][1] < declared["auc"].width
    # The noisiest classifier moves by about the tolerance, as the reason says.
    assert moved["knn"][0] < 1.7 * declared["f1"].width
