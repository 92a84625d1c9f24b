"""Power and models to move in a page: what the browser shows is what the package computes."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from touch_page import launched, opened_offline, page_of

from alsnb import evaluation, model_chooser, power_surface, touch
from alsnb.null_study import share
from alsnb.power_study import PowerStudy

LEVELS = {"focal": (0.0, 0.15, 0.3, 0.45, 0.6), "diffuse": (0.0, 0.025, 0.05, 0.1, 0.15)}


def power_study(sizes=(120, 300, 654), of=30):
    rng = np.random.default_rng(3)
    power, ceilings = [], []
    for representation in ("radiomics", "dl7"):
        for kind, levels in LEVELS.items():
            for i, level in enumerate(levels):
                head = {"representation": representation, "kind": kind, "level": level}
                ceilings.append(head | {"ceiling": 0.5 + 0.1 * i, "lost_ml": 2.3 * i})
                for n in sizes:
                    hits = int(rng.binomial(of, min(0.97, 0.05 + 0.3 * i * np.sqrt(n / 654))))
                    power.append(head | {"n": n} | share(hits, of) | {"auc": 0.6})
    none = pd.DataFrame()
    return PowerStudy(pd.DataFrame(power), pd.DataFrame(ceilings), none, none, {})


def record(protocol="nested", n_negative=24, seed=1):
    rng, rows = np.random.default_rng(seed), []
    for representation in ("radiomics", "dl7"):
        for classifier, repeats in (("svm_linear", 1), ("dnn_t", 3)):
            for repeat in range(repeats):
                for i in range(60 + n_negative):
                    y = int(i < 60)
                    score = float(rng.normal(y, 1.5))
                    rows.append(
                        (f"sub-{i:03d}", protocol, representation, classifier, repeat, i % 3, y,
                         score, int(score > -0.2))
                    )  # fmt: skip
    return pd.DataFrame(rows, columns=evaluation.COLUMNS)


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def power_page(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("power"), power_surface.widget(power_study()).html)


@pytest.fixture(scope="module")
def models_page(tmp_path_factory):
    text = model_chooser.widget([record(), record("published", seed=2)], names=("mimic", "ALS"))
    return page_of(tmp_path_factory.mktemp("models"), text.html)


def test_a_surface_is_its_computed_points_and_straight_between_them():
    table = power_study().power
    for (representation, kind), own in power_surface.surfaces(power_study()).items():
        rows = table[(table["representation"] == representation) & (table["kind"] == kind)]
        for row in rows.to_dict("records"):
            found = power_surface.at(own, round(100 * row["level"], 6), row["n"])
            assert found.computed
            assert (found.share, found.lower, found.upper) == (
                row["share"], row["lower"], row["upper"],
            )  # fmt: skip
        # Half-way in the loss, and in the square root of the people.
        middle = power_surface.at(
            own, (own.levels[1] + own.levels[2]) / 2, ((120**0.5 + 300**0.5) / 2) ** 2
        )
        around = [own.share[i][j] for i in (1, 2) for j in (0, 1)]
        assert middle.share == pytest.approx(np.mean(around), abs=1e-9)  # rounding of a square
        assert middle.near == [(1, 0), (1, 1), (2, 0), (2, 1)]
        assert middle.lower == min(own.lower[i][j] for i, j in middle.near)
        assert middle.upper == max(own.upper[i][j] for i, j in middle.near)


def test_every_computed_point_can_be_chosen_and_nothing_beyond():
    for own in power_surface.surfaces(power_study()).values():
        losses, people = own.offered()
        assert set(own.levels) <= set(losses)
        assert set(own.sizes) <= set(people)
        assert (losses[0], losses[-1]) == (own.levels[0], own.levels[-1])
        assert (people[0], people[-1]) == (120, 654)
        assert max(len(losses), len(people)) <= power_surface.STEPS + 1 + 5
        for x in losses:
            for n in people:
                found = power_surface.at(own, x, n)
                assert 0 <= found.lower <= found.share <= found.upper <= 1


def test_what_a_straight_line_misses_is_said():
    found = power_surface.surfaces(power_study())
    most, mean, points = power_surface.missed(found)
    off = []
    for own in found.values():
        for k in range(3):
            for i in (1, 2, 3):
                x = [own.levels[i - 1], own.levels[i + 1]]
                y = [own.share[i - 1][k], own.share[i + 1][k]]
                off.append(abs(np.interp(own.levels[i], x, y) - own.share[i][k]))
    assert (most, mean, points) == pytest.approx((max(off), np.mean(off), 36))
    assert power_surface.fixed_points(most) in power_surface.widget(power_study()).html


def set_range(tab, name, index):
    tab.locator(f'[data-control="{name}"]').fill(str(index))


def text_of(tab, name):
    return tab.locator(f'[data-value="{name}"]').inner_text()


def percent(value):
    return touch.fixed(100 * value, 0)


def test_the_page_shows_power_as_the_package_reads_it(browser, power_page):
    tab = opened_offline(browser, power_page)
    found = power_surface.surfaces(power_study())
    for r, name in enumerate(("radiomics", "dl7")):
        tab.get_by_label("Representation").select_option(str(r))
        for k, kind in enumerate(LEVELS):
            tab.get_by_label("Kind of loss").select_option(str(k))
            own = found[name, kind]
            losses, people = own.offered()
            for i in (0, 7, len(losses) // 2, len(losses) - 1):
                for j in (0, 5, people.index(300)):
                    set_range(tab, "level", i)
                    set_range(tab, "n", j)
                    point = power_surface.at(own, losses[i], people[j])
                    assert text_of(tab, "level") == f"{losses[i]:g} %"
                    assert text_of(tab, "n") == str(people[j])
                    assert text_of(tab, "share") == f"{percent(point.share)} %"
                    span = f"{percent(point.lower)} to {percent(point.upper)} %"
                    assert span in text_of(tab, "span")
                    assert ("computed;" in text_of(tab, "span")) == point.computed
                    assert text_of(tab, "near") == "; ".join(
                        f"{own.levels[a]:g} %, {own.sizes[b]} people: {percent(own.share[a][b])} "
                        f"({percent(own.lower[a][b])} to {percent(own.upper[a][b])}) %"
                        for a, b in point.near
                    )
                    assert text_of(tab, "ml") == f"{touch.fixed(point.lost_ml, 1)} ml"
                    assert text_of(tab, "ceiling") == touch.fixed(point.ceiling, 2)
                    loss, size = power_surface.reached(own, losses[i], people[j])
                    said = text_of(tab, "reached")
                    assert ("no loss" in said) if loss is None else f"of {loss:g} % on" in said
                    assert ("no number" in said) if size is None else f"{size} people or" in said
    assert not tab.problems
    tab.context.close()


def test_keys_and_clicks_move_it_and_the_sentence_is_spoken(browser, power_page):
    tab = opened_offline(browser, power_page)
    tab.get_by_label(re.compile("^Lost of it")).focus()
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    assert text_of(tab, "level") == "1 %"
    picture = tab.locator('[data-picture="map"]')
    box = picture.bounding_box()
    # The upper right corner of the drawing's box: the largest loss, the most people.
    picture.click(position={"x": box["width"] * 351 / 360, "y": box["height"] * 11 / 250})
    assert (text_of(tab, "level"), text_of(tab, "n")) == ("60 %", "654")
    says = tab.locator("[aria-live=polite]")
    says.filter(has_text="a loss of 60 % of precentral grey matter").wait_for(timeout=5000)
    assert says.inner_text() in picture.get_attribute("aria-label")
    tab.get_by_label("Kind of loss").select_option("1")
    assert text_of(tab, "level") == "15 %"  # the same end of the slider
    tab.get_by_role("button", name="Start again").click()
    assert (text_of(tab, "level"), text_of(tab, "n")) == ("30 %", "654")
    assert not tab.problems
    tab.context.close()


def test_one_number_of_people_cannot_be_moved(browser, tmp_path):
    text = power_surface.widget(power_study(sizes=(48,))).html
    assert "it cannot be moved" in text
    tab = opened_offline(browser, page_of(tmp_path, text))
    assert tab.get_by_label(re.compile("^People")).is_disabled()
    assert text_of(tab, "n") == "48"
    assert not tab.problems
    tab.context.close()


def test_the_page_shows_any_models_scores_as_evaluation_has_them(browser, models_page):
    tab = opened_offline(browser, models_page)
    records = [record(), record("published", seed=2)]
    for p, predictions in enumerate(records):
        folds = evaluation.fold_scores(predictions)
        means = evaluation.summary(folds).set_index([*evaluation.KEY, "metric"])
        cells = evaluation.confusion_matrices(predictions).set_index(evaluation.KEY)
        for r, representation in enumerate(("radiomics", "dl7")):
            for c, classifier in enumerate(("svm_linear", "dnn_t")):
                for name, value in (("Protocol", p), ("Representation", r), ("Classifier", c)):
                    tab.get_by_label(name, exact=True).select_option(str(value))
                key = (predictions["protocol"].iloc[0], representation, classifier)
                for metric in model_chooser.MEASURES:
                    row = means.loc[(*key, metric)]
                    said = tab.locator(f'[data-model="{metric}"]').inner_text()
                    assert said == f"{row['mean']:.3f} ± {row['sd']:.3f}"
                for cell in ("tp", "fn", "fp", "tn"):
                    said = tab.locator(f'[data-cell="{cell}"]').inner_text()
                    # Networks: the mean over trials, with one decimal.
                    assert float(said.split(" ")[0]) == pytest.approx(
                        cells.loc[key, cell], abs=0.0501
                    )
                    assert f"({percent(cells.loc[key, f'{cell}_share'])} %)" in said
        assert tab.locator('[data-always="balanced_accuracy"]').inner_text() == "0.500"
    assert not tab.problems
    tab.context.close()


def test_scores_of_a_model_and_of_the_larger_class_are_scikit_learns():
    predictions = record()
    own = predictions[predictions["classifier"] == "svm_linear"]
    own = own[own["representation"] == "dl7"]
    table = model_chooser.models([predictions]).set_index(["representation", "classifier"])
    row = table.loc[("dl7", "svm_linear")]
    folds = [f for _, f in own.groupby("fold")]
    by_hand = {
        "mean_f1": np.mean([f1_score(f["y_true"], f["y_pred"]) for f in folds]),
        "mean_auc": np.mean([roc_auc_score(f["y_true"], f["score"]) for f in folds]),
        "mean_balanced_accuracy": np.mean(
            [balanced_accuracy_score(f["y_true"], f["y_pred"]) for f in folds]
        ),
    }
    assert row[list(by_hand)].to_dict() == pytest.approx(by_hand)
    everybody = np.mean([f1_score(f["y_true"], np.ones(len(f))) for f in folds])
    assert model_chooser.always_larger(predictions)["f1"] == pytest.approx(everybody)
    # Where the negative class is the larger, nobody is called positive.
    flipped = predictions.assign(y_true=1 - predictions["y_true"])
    negative = model_chooser.always_larger(flipped)
    assert (negative["recall"], negative["specificity"], negative["auc"]) == (0, 1, 0.5)
    # The area under the drawn curve is the AUC within folds, up to the steps between its points.
    x, y = np.array(row["roc"]).T
    assert np.trapezoid(y, x) == pytest.approx(by_hand["mean_auc"], abs=0.02)


def test_small_rows_of_a_real_cohort_are_not_in_the_page(browser, tmp_path):
    predictions = record(n_negative=9)
    made = model_chooser.widget([predictions], names=("mimic", "ALS"), at_least=10)
    data = json.loads(re.search(r'application/json">(.*?)</script>', made.html, re.S)[1])
    for model in data["models"].values():
        # Nine mimics: no split of them into two can have ten in both.
        assert (model["cells"]["fp"], model["cells"]["tn"]) == ("hidden", "hidden")
        assert model["scores"]["specificity"] == "hidden"
        assert model["roc"] is None
        ill = [model["cells"][c] for c in ("tp", "fn")]
        assert ill == ["hidden", "hidden"] or all(
            int(c.split(" ")[0].split(".")[0]) >= 10 for c in ill
        )
        assert (ill[0] == "hidden") == (model["scores"]["recall"] == "hidden")
    assert "sub-" not in made.html
    tab = opened_offline(browser, page_of(tmp_path, made.html))
    assert tab.locator('[data-cell="tn"]').inner_text() == "hidden"
    assert "No ROC curve" in tab.locator('[data-picture="roc"]').get_attribute("aria-label")
    assert "too small for a curve" in tab.locator("body").inner_text()
    assert not tab.problems
    tab.context.close()


def test_a_curve_through_groups_of_people_has_few_points():
    predictions = record(n_negative=24)
    own = predictions[
        (predictions["classifier"] == "svm_linear") & (predictions["representation"] == "dl7")
    ]
    points = model_chooser.roc(own, at_least=8)
    # 24 negatives make three groups of eight.
    assert [x for x, _ in points] == [0, 0, 0.333, 0.667, 1]
    assert len(model_chooser.roc(own)) == 102


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["power_page", "models_page"])
def test_both_fit_a_phone_and_have_a_table_without_javascript(browser, request, page, scheme):
    address = request.getfixturevalue(page)
    tab = opened_offline(browser, address, color_scheme=scheme)
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for one in tab.locator("select, input, button").all():
        box = one.bounding_box()
        assert box["height"] >= 24
        assert tab.evaluate(
            "e => e.labels === null || e.labels.length > 0", one.element_handle()
        ) or (one.evaluate("e => e.tagName") == "BUTTON")
    assert all(s.get_attribute("aria-label") for s in tab.locator("svg[role=img]").all())
    tab.context.close()
    bare = opened_offline(browser, address, java_script_enabled=False)
    assert not bare.locator(".alsnb-live").is_visible()
    assert bare.locator("details table").is_visible()
    assert "needs JavaScript" in bare.locator("noscript").inner_text()
    bare.context.close()
