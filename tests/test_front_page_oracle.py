"""The front page's five lines: true to the run's predictions, and other for another run."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from alsnb import evaluation, front_page, honest, honest_figures, parameters, protocols
from alsnb.study import Study

#: As small as the verdict allows: with 60 people an AUC worth finding has to be a large one.
SIZES = {
    "n_permutations": 19,
    "permutation_stop": 1,
    "permutation_classifiers": ["knn"],
    "honest_classifiers": ["knn"],
    "honest_seeds": 1,
    "honest_draws": 100,
    "primary_permutations": 99,
    "null_cohorts": 20,
    "useful_auc": 0.85,
    "n_jobs": 1,
}
GROUPS = ("mimic", "ALS")
LOSS = {"precentral grey matter": 0.6}


def evaluated(shift: float, folder: Path) -> tuple[honest.Honest, pd.DataFrame]:
    """Run the project's own nested protocol and evaluation on 40 + 20 drawn people."""
    rng = np.random.default_rng(3)
    index = pd.Index([f"sub-{i:03d}" for i in range(60)], name="participant_id")
    labels = pd.Series(np.tile([1, 1, 0], 20), index=index)
    tables = {
        name: pd.DataFrame(rng.normal(k * shift * labels.to_numpy()[:, None], 1, (60, 3)), index)
        for name, k in (("radiomics", 1.0), ("dl7", 0.0))
    }
    tables = {name: table.rename(columns=str) for name, table in tables.items()}
    nested = protocols.run_many(
        tables, labels, classifiers=["svm_linear", "knn"], protocol="nested", progress=False
    ).predictions
    ages = pd.DataFrame({"age": rng.normal(60, 9, 60)}, index=index)
    params = parameters.validate(SIZES)
    found = honest.evaluate(
        tables, labels, nested, {"age_sex": ages}, params, folder, groups=GROUPS, progress=False
    )
    return found, nested


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    return {"null": evaluated(0.0, folder / "null"), "planted": evaluated(2.5, folder / "planted")}


def lines_of(result, truth, groups=GROUPS, useful=0.85):
    return front_page.answer(result, groups, truth, useful=useful)


def test_all_five_lines_change_between_a_null_and_a_planted_run(runs):
    null = lines_of(runs["null"][0], {})
    planted = lines_of(runs["planted"][0], LOSS)
    assert len(null) == len(planted) == 5
    for one, other in zip(null, planted, strict=True):
        assert one.verdict != other.verdict
        assert one.text != other.text


def test_verdicts_are_right_about_cohorts_whose_truth_is_known(runs):
    null = [line.verdict for line in lines_of(runs["null"][0], {})]
    assert null[0] != "There is a difference"
    assert null[1].startswith("On F1 no model beats the rule “everybody is ALS”")
    assert null[4] == "Nothing is there, none was found"
    planted = [line.verdict for line in lines_of(runs["planted"][0], LOSS)]
    assert planted[0] == "There is a difference"
    assert planted[1] == "On F1 a model beats the rule “everybody is ALS”"
    assert int(re.search(r"recognises (\d+)$", planted[2])[1]) > 80
    assert re.match(r"\d of 4 AUCs (is|are) clear of chance", planted[3])
    assert planted[4] == "A difference is there and was found"


def test_a_wrong_verdict_is_called_wrong(runs):
    """The same evidence told of the opposite truth: a false alarm, and a miss."""
    assert lines_of(runs["planted"][0], {})[4].verdict == "Nothing is there: a false alarm"
    missed = lines_of(runs["null"][0], LOSS)[4]
    assert missed.verdict in {
        "A difference is there and was missed", "A difference is there and was out of reach",
    }  # fmt: skip
    assert "ALS lost 60 % of precentral grey matter on average" in missed.text


def test_a_small_p_of_too_few_people_is_explained(runs):
    result = runs["planted"][0]
    few = replace(result.verdict, kind="cannot_tell", detectable=0.95)
    lines = lines_of(replace(result, verdict=few), LOSS)
    assert lines[0].text.endswith("so few people reach a small p by an exaggerated AUC only.")
    assert lines[4].verdict == "A difference is there, and these people are too few to settle it"
    assert "changes nothing" not in lines_of(result, LOSS)[0].text


@pytest.mark.parametrize("kind", ["null", "planted"])
def test_numbers_are_those_of_the_predictions(runs, kind):
    found, nested = runs[kind]
    lines = lines_of(found, {})
    scores = {}
    for key, own in nested.groupby(["representation", "classifier"], sort=False):
        assert own["repeat"].nunique() == 1
        scores[key] = f1_score(own["y_true"], own["y_pred"])
    best = max(scores, key=scores.get)
    own = nested[(nested["representation"] == best[0]) & (nested["classifier"] == best[1])]
    assert f"has {scores[best]:.3f}; the rule" in lines[1].text
    # 2p / (1 + p) with p = 2/3
    assert "which sees no scan, has 0.800." in lines[1].text
    spec = recall_score(own["y_true"], own["y_pred"], pos_label=0)
    assert lines[2].verdict == f"Of 100 mimic the best of them recognises {round(100 * spec)}"
    recall = recall_score(own["y_true"], own["y_pred"])
    assert f"recognises {100 * recall:.0f} % of the ALS and {100 * spec:.0f} %" in lines[2].text
    balanced = balanced_accuracy_score(own["y_true"], own["y_pred"])
    assert f"the mean of both, is {balanced:.2f} (" in lines[2].text
    # People are compared within folds only, weighted by their pairs.
    areas = []
    for _, own in nested.groupby(["representation", "classifier"], sort=False):
        folds = [fold for _, fold in own.groupby("fold")]
        pairs = [int(f["y_true"].sum() * (1 - f["y_true"]).sum()) for f in folds]
        auc = [roc_auc_score(f["y_true"], f["score"]) for f in folds]
        areas.append(np.average(auc, weights=pairs))
    assert f"The highest of 4 is {max(areas):.2f} (" in lines[3].text
    assert "In 40 ALS and 20 mimic, " in lines[0].text


def test_groups_have_the_cohorts_names_and_real_scans_no_known_truth(runs):
    for found, _ in runs.values():
        lines = lines_of(found, None, groups=("control", "depr"))
        told = " ".join(f"{line.verdict} {line.text}" for line in lines)
        assert "40 depr and 20 control" in told
        assert "“everybody is depr”" in told
        assert not re.search(r"\bALS\b|\bmimic\b|planted|simulated", told)
        assert lines[4].text.startswith("Nobody knows the truth of real scans.")


def test_planted_says_what_parameters_plant():
    def of(**values):
        return front_page.planted(parameters.validate(values))

    nothing = {"precentral_loss": 0.0, "cst_signal_change": 0.0, "cortical_loss": 0.0}
    assert of(**nothing) == {}
    assert of(**nothing | {"cortical_loss": 0.1}) == {"all cortical grey matter": 0.1}
    assert of(bids_root="/somewhere") is None


def test_the_papers_two_numbers():
    paper = front_page.paper()
    assert paper["paper_best_f1"] == 91.76  # Table 3, DL7 with SVM (P)
    # 548 of 654
    assert paper["paper_always_f1"] == pytest.approx(200 * 548 / (654 + 548), rel=1e-12)


def test_parts_are_named_for_the_page_and_the_page_takes_them_all(runs):
    parts = front_page.glued(lines_of(runs["null"][0], {})) | front_page.paper()
    page = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    taken = re.findall(r"11_evaluate_honestly\.ipynb::(\w+)", page)
    assert sorted(taken) == sorted(parts)


@pytest.mark.parametrize("kind", ["null", "planted"])
def test_the_figure_fills_what_is_clearly_better(runs, kind):
    found, nested = runs[kind]
    table = front_page.for_figure(found)
    assert len(table) == 2 * len(nested.groupby(["representation", "classifier"]))
    own = table[table["metric"] == "auc"]
    # Where everybody is ranked right, DeLong's method has no interval.
    assert (own["clear"] == (own["lower"] > 0.5) | (own["estimate"] == 1)).all()
    always = evaluation.always_positive(2 / 3)["f1"]
    figure = honest_figures.against_rules(
        table, names={"f1": "F1", "auc": "AUC"},
        rules={"f1": ("everybody ALS", always), "auc": ("chance", 0.5)},
    )  # fmt: skip
    for ax, (_, part) in zip(figure.axes, table.groupby("metric", sort=False), strict=True):
        marks = [line for line in ax.lines if line.get_marker() in {"^", "o", "s"}]
        filled = sum(len(m.get_xdata()) for m in marks if m.get_markerfacecolor() != "white")
        assert filled == int(part["clear"].sum())
        assert sum(len(m.get_xdata()) for m in marks) == len(part)
    n = int(table.loc[table["metric"] == "f1", "clear"].sum())
    assert f"everybody ALS 0.80, {n or 'none'} of 4 clearly better" in figure.get_label()
    if kind == "planted":
        assert n > 0


def test_a_stored_run_of_real_people(runs):
    """A finished run on real scans, where this machine has one (ALSNB_REAL_RUN)."""
    folder = Path(os.environ.get("ALSNB_REAL_RUN", "") or ROOT / "runs" / "real30")
    if not (folder / "run.json").is_file():
        pytest.skip(f"no finished run on real scans at {folder}; name one in ALSNB_REAL_RUN")
    values = json.loads((folder / "run.json").read_text(encoding="utf-8"))["parameters"]
    if not Path(values["bids_root"]).is_dir():
        pytest.skip("the scans of the run on real scans are not here")
    params = parameters.validate(values | {"run_dir": str(folder), "n_jobs": 1})
    study = Study(params, progress=False)
    assert not params.simulated
    result = study.honest
    lines = lines_of(result, None, study.cohort.names, useful=params.useful_auc)
    others = [lines_of(runs["null"][0], {}), lines_of(runs["planted"][0], LOSS)]
    for i, line in enumerate(lines):
        assert line.text not in {other[i].text for other in others}
    assert lines[4].verdict not in {other[4].verdict for other in others}
    negative, positive = study.cohort.names
    n_positive, n_negative = result.counts
    assert f"In {n_positive} {positive} and {n_negative} {negative}," in lines[0].text
