"""What the chapter on usefulness prints and draws, and what it says of few people (mechanics)."""

import functools

import numpy as np
import pandas as pd
import pytest

from alsnb import calibration, usefulness, usefulness_figures, usefulness_text
from alsnb.probabilities import VARIANTS

MODELS = ("svm_linear", "rf")


@functools.cache
def results(n_positive=101, n_negative=19, strength=0.0, seed=2):
    """Numbers of two models: SMOTE's too low, the others right on average."""
    rng = np.random.default_rng(seed)
    n = n_positive + n_negative
    y = np.r_[np.ones(n_positive, int), np.zeros(n_negative, int)]
    share = n_positive / n
    parts = []
    for model in MODELS:
        log_odds = rng.normal(0, 0.4, n) + strength * (y - share)
        for variant in VARIANTS:
            base = 0.0 if variant == "smote" else np.log(share / (1 - share))
            p = 1 / (1 + np.exp(-(base + log_odds)))
            parts.append(
                pd.DataFrame(
                    {
                        "participant_id": [f"sub-{i:03d}" for i in range(n)],
                        "protocol": variant, "representation": "dl7", "classifier": model,
                        "repeat": 0, "fold": np.arange(n) % 3, "y_true": y, "score": p,
                        "y_pred": (p >= 0.5).astype(int), "share": share,
                    }
                )
            )  # fmt: skip
    predictions = pd.concat(parts, ignore_index=True)
    own = predictions[predictions["protocol"] == "recalibrated"]
    inner = pd.concat([own[own["fold"] != k].assign(fold=k) for k in range(3)])
    return (
        predictions,
        inner,
        calibration.summary(predictions, n_bins=5, n_draws=200),
        usefulness.net_benefit(predictions, n_draws=200),
        usefulness.costs(predictions, inner, ratios=[0.25, 1.0, 2.0], n_draws=100),
    )


def conclude(ratio=2.0, **sizes):
    _, _, *rest = results(**sizes)
    return usefulness_text.conclusion(*rest, names=("mimic", "ALS"), ratio=ratio)


def test_few_people_read_as_cannot_tell_whatever_the_numbers():
    for strength in (0.0, 6.0):
        text = conclude(n_positive=21, n_negative=9, strength=strength)
        assert "21 ALS + 9 mimic it cannot be told" in text
        assert "gains over" not in text


def test_a_model_that_says_nothing_is_not_called_useful():
    text = conclude()
    assert "2 of 2 too low, beyond what chance explains" in text
    assert "At no threshold does a recalibrated model gain" in text
    assert "cannot be told from these people" in text
    assert "the best rule without a scan is calling everybody ALS" in text
    assert "0 of 8 have a better Brier score" in text


def test_a_model_that_tells_the_groups_apart_is_found_useful():
    text = conclude(ratio=0.25, n_positive=200, n_negative=100, strength=6.0)
    assert "A recalibrated model gains over the better" in text
    assert "calling nobody ALS" in text
    assert "less beyond chance in 2" in text


def test_one_false_alarm_is_said_in_words():
    assert "as dear as one false alarm" in conclude(ratio=1.0)


def test_one_model_is_spoken_of_as_one():
    _, _, *rest = results()
    one = [table[table["classifier"] == "rf"] for table in rest]
    text = usefulness_text.conclusion(*one, names=("mimic", "ALS"), ratio=2.0)
    assert "the model says 0." in text
    assert "too low, beyond what chance explains" in text
    assert "1 of 1 too" not in text
    assert "1 models" not in text
    times = text.partition("SMOTE does costs ")[2].partition(" times")[0]
    assert " to " not in times
    own = rest[2][rest[2]["rule"] == "own"]
    assert float(times) == pytest.approx(
        own.loc[(own["classifier"] == "rf") & (own["ratio"] == 2.0), "relative"].item(), abs=0.05
    )


def test_tables_hold_every_model_and_no_person():
    predictions, inner, summary, _, _ = results()
    table = usefulness_text.calibration_table(summary)
    assert len(table) == 8
    assert table["model"].iloc[0] == "DL7 + SVM (L)"
    brier = usefulness_text.brier_table(summary)
    assert (brier["brier"] == summary["brier"]).all()
    bins = usefulness_text.bin_table(predictions, 5, 10)
    assert bins.groupby(["protocol", "classifier"])["n"].sum().eq(120).all()
    assert bins["n"].min() >= 10
    chosen = usefulness.thresholds(inner, 2.0)
    ends = chosen["fold"].map({0: 0.0, 1: 0.5, 2: np.inf})
    wide = usefulness_text.threshold_table(chosen.assign(threshold=ends), "ALS")
    assert wide.loc["DL7 + RF"].tolist() == ["everybody ALS", "0.500", "nobody ALS"]
    for shown in (table, brier, bins, wide):
        assert "sub-" not in shown.to_csv()


def test_missing_slopes_are_dashes():
    _, _, summary, _, _ = results()
    empty = summary.assign(slope=np.nan)
    assert (usefulness_text.calibration_table(empty)["slope"] == "–").all()


@pytest.fixture(scope="module")
def labels():
    return {"svm_linear": "SVM (L)", "rf": "RF"}


def test_reliability_curves_show_bins_and_their_people(labels):
    predictions, *_ = results()
    bins = usefulness_text.bin_table(predictions, 5, 10)
    figure = usefulness_figures.reliability_curves(
        bins, columns=VARIANTS, rows=labels, share=0.84, positive="ALS"
    )
    assert len(figure.axes) == 8
    assert figure.axes[0].texts[0].get_text() == "5 × 24"
    assert "ALS" in figure.get_label()
    own = bins[(bins["classifier"] == "svm_linear") & (bins["protocol"] == "smote")]
    drawn = figure.axes[0].containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx(own["observed"].to_numpy())


def test_decision_and_cost_curves_draw_what_they_are_given(labels):
    _, _, _, benefit, costs = results()
    columns = {"smote": "SMOTE", "recalibrated": "recalibrated"}
    figure = usefulness_figures.decision_curves(
        benefit, rows=labels, columns=columns, positive="ALS"
    )
    own = benefit[(benefit["classifier"] == "svm_linear") & (benefit["protocol"] == "smote")]
    assert figure.axes[0].lines[2].get_ydata() == pytest.approx(100 * own["net_benefit"])
    figure = usefulness_figures.cost_curves(
        costs, rules=usefulness.RULES, classifiers=labels, representations={"dl7": "DL7"},
        ratio=2.0, share=0.84, positive="ALS",
    )  # fmt: skip
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(usefulness.RULES.values()) <= set(words)
    assert next(t.get_text() for t in figure.axes[-1].get_xticklabels()) == "1/64"
