"""Figures, tables and words of the controls: what is drawn and said is what was measured."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection

from alsnb import control_figures, control_words, controls, null_study
from alsnb.controls import Controls
from alsnb.null_study import NullStudy
from alsnb.primary_test import primary_test
from alsnb.switch_cohorts import Cohort


def made_up_null(hits=10, of=200, f1=(0.91, 0.90, 0.80)):
    tests = []
    for kind, truth in (("noise", 0.5), ("shuffled", np.nan), ("planted", 0.7)):
        p = np.where(np.arange(of) < hits, 0.01, 0.6)
        part = pd.DataFrame({"kind": kind, "cohort": range(of), "p": p, "auc": 0.55})
        part = part.assign(delong_lower=0.46, delong_upper=0.64)
        tests.append(part.assign(lower=0.45, upper=0.65, truth=truth))
    rows = [
        {"kind": kind, "cohort": i, "protocol": protocol, "classifier": "svm_poly", "f1": value,
         "balanced_accuracy": 0.5, "auc": 0.5, "best": True}
        for kind in null_study.KINDS
        for protocol, value in zip(null_study.PROTOCOLS, f1, strict=True)
        for i in range(4)
    ]  # fmt: skip
    return NullStudy(pd.concat(tests, ignore_index=True), pd.DataFrame(rows), 101, 19, [])


def test_every_null_cohort_is_a_dot():
    null = made_up_null()
    figure = control_figures.null_scores(
        null.scores, names={"f1": "F1", "auc": "AUC"}, kinds=null_study.KINDS,
        always=controls.references(null),
    )  # fmt: skip
    dots = [line for ax in figure.axes for line in ax.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in dots) == 2 * 2 * 3 * 4
    always = {round(float(ax.lines[0].get_xdata()[0]), 4) for ax in figure.axes[:2]}
    assert always == {round(2 * 101 / (2 * 101 + 19), 4), 0.5}
    assert figure.get_label()


def test_the_share_of_small_p_values_is_drawn():
    null = made_up_null(hits=30)
    figure = control_figures.p_values(
        null.tests, null_study.uniform_band(200), kinds=controls.KINDS, level=0.05
    )
    left, right = figure.axes
    curve = next(line for line in left.lines if line.get_label() == "noise features")
    x, y = curve.get_data()
    assert max(y[x <= 0.05]) == pytest.approx(0.15)
    assert right.get_ylim()[1] > 0.15
    assert right.get_xlim() == pytest.approx((0, 0.15))


def test_power_is_drawn_with_its_band_and_the_papers_size():
    rows = [
        {"representation": "radiomics", "kind": kind, "level": level, "n": n, "share": level * 2,
         "lower": level, "upper": level * 2}
        for kind in ("focal", "diffuse") for level in (0.0, 0.1, 0.3) for n in (120, 654)
    ]  # fmt: skip
    power = pd.DataFrame(rows)
    shown = {"radiomics": "Radiomics"}
    lost_ml = {kind: {0.0: 0.0, 0.1: 4.0, 0.3: 12.5} for kind in ("focal", "diffuse")}
    figure = control_figures.power_curves(
        power, representations=shown, losses=controls.LOSSES, lost_ml=lost_ml, level=0.05, paper=654
    )
    figure.canvas.draw()
    above = figure.axes[0].child_axes[0]
    assert above.get_xlabel() == "ml"
    # The upper axis says 4 ml where the lower one says 10 %.
    at = [ax.transData.transform((v, 0))[0] for ax, v in ((figure.axes[0], 10), (above, 4))]
    assert at[0] == pytest.approx(at[1], abs=0.01)  # pixels; both are floats of one transform
    lines = [line for line in figure.axes[0].lines if line.get_label().startswith("n = ")]
    assert [line.get_label() for line in lines] == ["n = 120", "n = 654 (the paper's)"]
    np.testing.assert_allclose(lines[1].get_xdata(), [0, 10, 30])
    np.testing.assert_allclose(lines[1].get_ydata(), [0, 0.2, 0.6])
    bands = [c for c in figure.axes[0].collections if isinstance(c, FillBetweenPolyCollection)]
    assert len(bands) == 2
    figure = control_figures.power_by_size(power, representations=shown, level=0.05, paper=654)
    ax = figure.axes[1]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["10 %", "30 %"]
    assert 654 in [line.get_xdata()[0] for line in ax.lines]


def test_words_on_false_alarms_follow_the_counts():
    assert "5.0 % (95 % interval" in control_words.false_alarms(made_up_null(hits=10))
    assert "which agrees with the 5 %" in control_words.false_alarms(made_up_null(hits=10))
    assert "which does not agree" in control_words.false_alarms(made_up_null(hits=40))


def test_words_on_scores_and_intervals_follow_the_numbers():
    null = made_up_null()
    text = control_words.high_scores(null)
    assert "F1 0.914 here" in text
    assert "Under `published` the best model's F1 was 0.85 or more in 8 of 8" in text
    assert "Under `nested` the best model's F1 was 0.85 or more in 0 of 8" in text
    text = control_words.intervals(null)
    # every interval is 0.45 to 0.65: it holds 0.5 always and 0.7 never
    assert "100 (98 to 100) % of 200 cohorts of noise features" in text
    assert "0 (0 to 2) % of 200 cohorts of a known shift" in text
    assert "longer than need be" in text
    assert "too short" in text
    assert text.count("The declared test's 95 %") == text.count("DeLong's 95 %") == 2
    known = pd.DataFrame(columns=["cohort"])
    text = control_words.conclusion(Controls(null, known, None))
    assert "no finding in 95.0 % (noise features) and 95.0 % (shuffled labels)" in text
    assert "8 of 8 under `published`, 8 of 8 under `released`, 0 of 8 under `nested`" in text
    table = controls.score_table(null)
    assert len(table) == 2 * 3 * 2
    # 21 of 30: calling everybody positive has 0.8235, which is high there
    fewer = NullStudy(null.tests, null.scores, 21, 9, [])
    assert controls.high_f1(fewer) == 0.82
    assert "0.82 or more in 8 of 8" in control_words.high_scores(fewer)
    assert table["F1 ≥ 0.85"].max() == 4


@pytest.mark.parametrize(
    ("cohort", "lost", "p", "words"),
    [("planted", 0.5, 0.01, "and finds it"), ("planted", 0.5, 0.3, "and misses it"),
     ("null", 0.0, 0.3, "and finds nothing"), ("null", 0.0, 0.02, "finds something all the same"),
     ("planted", 0.0, 0.3, "and finds nothing")],
)  # fmt: skip
def test_words_on_known_cohorts_follow_the_truth(cohort, lost, p, words):
    row = {"cohort": cohort, "representation": "radiomics", "n_positive": 30, "n_negative": 6,
           "precentral_lost": lost, "cortical_lost": 0.0, "auc": 0.7, "lower": 0.5, "upper": 0.9,
           "p": p}  # fmt: skip
    known = pd.DataFrame([row])
    assert words in control_words.found(Controls(made_up_null(), known, None))
    assert controls.known_table(known).loc[0, "found"] == ("yes" if p <= 0.05 else "no")


def test_known_truths_are_tested_once_and_found_again(tmp_path):
    rng = np.random.default_rng(1)
    ids = pd.Index([f"sub-{i:02d}" for i in range(30)], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [20, 10]), index=ids)
    lost = {"precentral_lost": 0.6, "cortical_lost": 0.1}
    tables = {k: pd.DataFrame(rng.normal(size=(30, 4)), ids).add_prefix("f") for k in ("a", "b")}
    cohorts = {
        "null": Cohort({"radiomics": tables["a"]}, labels, dict.fromkeys(lost, 0.0)),
        "planted": Cohort({"radiomics": tables["b"]}, labels, lost),
    }
    how = {"seed": 3, "n_permutations": 39, "progress": False}
    found = controls.known_truth(cohorts, tmp_path, **how)
    expected = primary_test(tables["b"], labels, seed=3, n_permutations=39)
    row = found.set_index("cohort").loc["planted"]
    assert (row["auc"], row["p"]) == (expected.auc, expected.p)
    assert (row["precentral_lost"], row["n_negative"]) == (0.6, 10)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 2
    pd.testing.assert_frame_equal(controls.known_truth(cohorts, tmp_path, **how), found)
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    controls.known_truth(cohorts, tmp_path, **how | {"seed": 4})
    assert len(list(tmp_path.iterdir())) == 4
