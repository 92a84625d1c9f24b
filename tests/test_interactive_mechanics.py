"""The calculator: its curves and intervals, and the page itself in a browser without a network."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint
from touch_page import launched, opened_offline, page_of

from alsnb import interactive, touch
from alsnb.errors import ParameterError
from alsnb.evaluation import always_positive

RNG = np.random.default_rng(8)
POSITIVE, NEGATIVE = RNG.beta(5, 2, 101), RNG.beta(3, 3, 19)


def record():
    parts = []
    for model, shift in (("rf", 0.0), ("knn", 0.15)):
        for label, scores in ((1, POSITIVE), (0, NEGATIVE)):
            parts.append(
                pd.DataFrame(
                    {
                        "participant_id": [f"sub-{label}{i:03d}" for i in range(len(scores))],
                        "protocol": "smote", "representation": "radiomics", "classifier": model,
                        "y_true": label, "score": np.clip(scores - shift, 0, 1),
                    }
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


MODELS = {
    ("smote", "radiomics", "rf"): "Radiomics + RF: <SMOTE> & more",
    ("smote", "radiomics", "knn"): "Radiomics + Knn: SMOTE",
}


def made(names=("mimic", "ALS"), at_least=7):
    found = interactive.curves(record(), at_least=at_least)
    return interactive.widget(found, models=MODELS, names=names, counts=(19, 101))


def people_called(label, threshold, model="rf"):
    own = record()
    own = own[(own["classifier"] == model) & (own["y_true"] == label)]
    return int((own["score"] >= threshold).sum())


def test_a_simulated_cohorts_numbers_are_its_peoples_at_every_threshold():
    found = interactive.curves(record())
    assert set(found.deviation.values()) == {0.0}
    assert found.table["exact"].all()
    for row in found.table.itertuples():
        ill = people_called(1, row.threshold, row.classifier) / 101
        well = 1 - people_called(0, row.threshold, row.classifier) / 19
        # The table has six decimals.
        assert (row.sensitivity, row.specificity) == pytest.approx((ill, well), abs=5e-7)
    assert "those of the people themselves: the cohort is simulated" in made(at_least=0).html


def test_a_real_cohorts_numbers_are_its_peoples_at_knots_and_hold_them_between():
    found = interactive.curves(record(), at_least=7)
    for (_, _, model), own in found.knots.items():
        for label, known in zip((1, 0), own, strict=True):
            assert known[0] == (0, 101 if label else 19)
            assert all(people_called(label, interactive.GRID[i], model) == n for i, n in known)
            # Nobody can be singled out: groups of 7 or more between knots, and beyond the last.
            counts = [n for _, n in known]
            assert min(a - b for a, b in zip(counts, counts[1:], strict=False)) >= 7
            assert counts[-1] == 0 or counts[-1] >= 7
    # Both classes have knots at 0 and 1 at least, and the positive one at more.
    assert found.table["exact"].sum() >= 4
    off = 0.0
    for row in found.table.itertuples():
        ill = people_called(1, row.threshold, row.classifier) / 101
        well = 1 - people_called(0, row.threshold, row.classifier) / 19
        least = row.sensitivity_least, row.specificity_least
        most = row.sensitivity_most, row.specificity_most
        for value, low, high in zip((ill, well), least, most, strict=True):
            assert low - 5e-7 <= value <= high + 5e-7
        off = max(off, abs((row.sensitivity + row.specificity - ill - well) / 2))
        if row.exact:
            assert (row.sensitivity, row.specificity) == pytest.approx((ill, well), abs=5e-7)
        shown = interactive.interval_between(least, most, 0.84, 101, 19)
        for name, (low, high) in interactive.interval(ill, well, 0.84, 101, 19).items():
            if low == low:  # else nobody is called so
                # Six decimals of two shares, and what a ratio of small shares makes of them.
                assert shown[name][0] <= low + 1e-5
                assert shown[name][1] >= high - 1e-5
    assert found.deviation["balanced_accuracy"] == pytest.approx(off, abs=1e-6)
    assert f"{off:.3f} in balanced accuracy" in made().html


def test_people_who_swap_scores_between_knots_leave_the_curve_as_it_is():
    before = interactive.knots(NEGATIVE, 5)
    places = interactive.GRID[[i for i, _ in before]]
    moved = np.sort(NEGATIVE)
    inside = [v for v in moved if places[1] <= v < places[2]]
    middle = (places[1] + places[2] - 0.01) / 2
    # All of a group but those next to its ends gather in its middle.
    moved[np.isin(moved, inside[1:-1])] = middle
    assert len(inside) >= 5
    assert interactive.knots(moved, 5)[:2] == before[:2]
    assert interactive.knots(moved, 0) != interactive.knots(NEGATIVE, 0)


def test_equal_scores_stay_together_and_few_people_have_no_curve():
    assert interactive.knots(np.full(12, 0.6), 5) == [(0, 12), (100, 0)]
    certain = interactive.knots(np.r_[np.linspace(0.1, 0.5, 10), np.ones(3)], 5)
    # Three people have 1, and are not shown as three.
    assert all(n >= 5 for _, n in certain)
    assert interactive.shares(np.r_[np.linspace(0.1, 0.5, 10), np.ones(3)], 5)[1][-1] == 0
    with pytest.raises(ParameterError, match="too few"):
        interactive.knots(np.linspace(0, 1, 9), 5)
    few = record()
    few = few[
        (few["y_true"] == 1) | few["participant_id"].isin([f"sub-0{i:03d}" for i in range(9)])
    ]
    assert not len(interactive.curves(few, at_least=5))
    assert interactive.curves(few, at_least=5).table.empty


def test_scores_are_those_of_people_in_these_shares():
    """840 positives, 160 negatives, counted by scikit-learn."""
    y = np.r_[np.ones(840, int), np.zeros(160, int)]
    called = np.r_[np.ones(630, int), np.zeros(210, int), np.ones(40, int), np.zeros(120, int)]
    tn, fp, fn, tp = confusion_matrix(y, called).ravel()
    precision, recall, f1, _ = precision_recall_fscore_support(y, called, average="binary")
    own = interactive.at(tp / (tp + fn), tn / (tn + fp), 0.84)
    expected = {
        "precision": precision, "recall": recall, "f1": f1, "specificity": tn / (tn + fp),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2, "npv": tn / (tn + fn),
    }  # fmt: skip
    assert own == pytest.approx(expected, abs=1e-12)
    everybody = interactive.at(1, 0, 0.84)
    always = always_positive(0.84)
    assert {k: everybody[k] for k in ("precision", "f1", "balanced_accuracy")} == pytest.approx(
        {k: always[k] for k in ("precision", "f1", "balanced_accuracy")}
    )
    assert np.isnan(everybody["npv"])


def test_wilsons_interval_is_that_of_statsmodels():
    for n in (1, 7, 19, 101):
        for k in range(n + 1):
            known = proportion_confint(k, n, method="wilson")
            # Other steps to the same number.
            assert interactive.wilson(k / n, n) == pytest.approx(known, abs=1e-12)


def test_numbers_are_written_as_the_browser_writes_them():
    ties = {0.0625: "0.063", 0.1875: "0.188", 2.5: "2.500", -0.0001: "0.000", 1e-9: "0.000"}
    assert {value: touch.fixed(value, 3) for value in ties} == ties
    assert touch.fixed(12.5, 0) == "13"
    assert touch.fixed(float("nan"), 3) == "–"


def test_the_intervals_cover_the_truth_as_often_as_they_say():
    """Every pair of counts, weighted by its probability: no drawing."""
    n_positive, n_negative, sens, spec, prevalence = 50, 19, 0.8, 0.6, 0.84
    truth = interactive.at(sens, spec, prevalence)
    cover, total = dict.fromkeys(truth, 0.0), 0.0
    for k in range(30, 51):
        for m in range(3, 19):
            weight = binom.pmf(k, n_positive, sens) * binom.pmf(m, n_negative, spec)
            total += weight
            own = interactive.interval(
                k / n_positive, m / n_negative, prevalence, n_positive, n_negative
            )
            for name, (low, high) in own.items():
                cover[name] += weight * (low <= truth[name] <= high)
    assert total > 0.999
    # Wilson's interval itself swings by two points around 95 % at such sizes; derived scores too.
    assert all(0.92 <= value <= 0.985 for value in cover.values()), cover


def test_only_aggregates_are_in_the_page():
    page = made().html
    data = json.loads(re.search(r'application/json">(.*?)</script>', page, re.S)[1])
    assert set(data) == {"models", "names", "n", "measures", "start"}
    assert all(set(m) == {"positive", "negative"} for m in data["models"])
    # Counts at knots, of groups of people.
    assert all(len(m["negative"]) <= 1 + 19 // 7 for m in data["models"])
    assert "sub-" not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "@" not in page
    assert made().html == page
    for name in ("model", "threshold", "prevalence"):
        assert page.count(f'data-control="{name}"') == 1


def test_names_are_text_wherever_they_stand():
    page = made(names=("<b>other</b>", "</script><script>alert(1)</script>")).html
    assert "<b>other" not in page
    assert page.count("<script") == 1  # the data; the one script is the book's
    assert html.escape("Radiomics + RF: <SMOTE> & more") in page


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    return browser, written(tmp_path_factory, 7)


def written(tmp_path_factory, at_least):
    return page_of(tmp_path_factory.mktemp("page"), made(at_least=at_least).html)


def opened(page, **options):
    return opened_offline(*page, **options)


def shown(tab, what="model"):
    return {n: tab.locator(f'[data-{what}="{n}"]').inner_text() for n in interactive.MEASURES}


def expected(model, threshold, prevalence, at_least=7):
    parts = record()
    parts = parts[parts["classifier"] == model]
    step = round(100 * threshold)
    yes, no = (
        interactive.shares(parts.loc[parts["y_true"] == label, "score"], at_least)[:, step]
        for label in (1, 0)
    )
    values = interactive.at(yes[0], 1 - no[0], prevalence)
    ends = (yes[1], 1 - no[2]), (yes[2], 1 - no[1])
    return values, interactive.interval_between(*ends, prevalence, 101, 19)


def compare(tab, model, threshold, prevalence, at_least=7):
    """Every digit shown is the package's own."""
    values, spans = expected(model, threshold, prevalence, at_least)
    assert shown(tab) == {name: touch.fixed(value, 3) for name, value in values.items()}
    assert shown(tab, "interval") == {
        name: "–" if np.isnan(values[name]) else " to ".join(touch.fixed(v, 3) for v in spans[name])
        for name in values
    }
    everybody = interactive.at(1, 0, prevalence)
    assert shown(tab, "all") == {name: touch.fixed(value, 3) for name, value in everybody.items()}


def test_sliders_move_the_numbers_without_a_network(page):
    tab = opened(page)
    compare(tab, "rf", 0.50, 0.84)
    threshold = tab.get_by_label(re.compile("^Threshold"))
    threshold.focus()
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
    assert tab.locator('[data-value="threshold"]').inner_text() == "0.62"
    compare(tab, "rf", 0.62, 0.84)
    tab.get_by_label(re.compile("^Prevalence")).focus()
    tab.keyboard.press("Home")
    for _ in range(9):
        tab.keyboard.press("ArrowRight")
    compare(tab, "rf", 0.62, 0.10)
    tab.get_by_label(re.compile("^Model")).select_option(label="Radiomics + Knn: SMOTE")
    compare(tab, "knn", 0.62, 0.10)
    assert not tab.problems
    tab.context.close()


def test_the_page_shows_the_people_themselves_where_nobody_is_real(browser, tmp_path_factory):
    tab = opened((browser, written(tmp_path_factory, 0)))
    for threshold in (0.3, 0.5, 0.7, 1.0):
        tab.get_by_label(re.compile("^Threshold")).fill(f"{threshold:g}")
        compare(tab, "rf", threshold, 0.84, at_least=0)
        cleared = 1 - people_called(0, threshold) / 19
        assert shown(tab)["specificity"] == touch.fixed(cleared, 3)
    assert not tab.problems
    tab.context.close()


def test_the_page_shows_every_threshold_as_the_package_does(page):
    tab = opened(page)
    for threshold in interactive.GRID[1::3]:
        tab.get_by_label(re.compile("^Threshold")).fill(f"{threshold:.2f}")
        compare(tab, "rf", float(threshold), 0.84)
    tab.get_by_role("button", name="Start again").click()
    compare(tab, "rf", 0.50, 0.84)
    tab.context.close()


def test_the_drawing_and_the_sentence_say_the_same(page):
    tab = opened(page)
    tab.get_by_label(re.compile("^Prevalence")).fill("0.5")
    counts = {
        k: int(tab.locator(f'[data-people="{k}"]').inner_text()) for k in ("p1", "p0", "n1", "n0")
    }
    assert counts["p1"] + counts["p0"] == counts["n1"] + counts["n0"] == 500
    for kind, count in counts.items():
        assert tab.locator(f"svg[role=img] circle.{kind}").count() == count
    says = tab.locator("[aria-live=polite]")
    says.filter(has_text="Of 1000 people, 500 have ALS").wait_for(timeout=5000)
    assert f"misses {counts['p0']}" in says.inner_text()
    assert tab.locator("svg[role=img]").get_attribute("aria-label") == says.inner_text()
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page, scheme):
    tab = opened(page, color_scheme=scheme)
    tab.set_viewport_size({"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert tab.locator("input[type=range]").first.bounding_box()["width"] > 250
    tab.context.close()


def test_without_javascript_there_is_a_table(page):
    tab = opened(page, java_script_enabled=False)
    assert not tab.locator(".alsnb-live").is_visible()
    table = tab.locator("details table")
    assert table.is_visible()
    cells = table.locator("tbody tr").nth(4).locator("th, td").all_inner_texts()
    values, _ = expected("rf", 0.50, 0.84)
    assert cells[0] == "0.50"
    assert cells[1:] == [touch.fixed(v, 3) for v in values.values()]
    assert "needs JavaScript" in tab.locator("noscript").inner_text()
    tab.context.close()
