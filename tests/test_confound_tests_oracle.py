"""The confound tests against what they must say where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from alsnb import confound_tests
from alsnb.confounds import Confounds


def data(n=120, seed=0):
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < n // 2).astype(int)
    return rng, y, pd.Series(rng.normal(size=n) + y)


def test_a_score_that_is_the_confound_is_found_and_one_that_is_not_is_not():
    rng, y, confound = data()
    how = {"n_permutations": 99, "seed": 1}
    driven = confound + 0.3 * rng.normal(size=len(y))
    free = y + rng.normal(size=len(y))
    found = confound_tests.confound_test(y, driven.to_numpy(), confound, kind="partial", **how)
    # The least that 99 permutations can give: none is as large.
    assert found["p"] == pytest.approx(1 / 100)
    innocent = confound_tests.confound_test(y, free, confound, kind="partial", **how)
    assert innocent["p"] > 0.05
    full = confound_tests.confound_test(y, 2.0 * y + free, confound, kind="full", **how)
    assert full["p"] == pytest.approx(1 / 100)
    nothing_else = confound_tests.confound_test(y, driven.to_numpy(), confound, kind="full", **how)
    assert nothing_else["p"] > 0.05


def test_the_shares_are_coefficients_of_determination():
    rng, y, confound = data()
    score = confound.to_numpy() + rng.normal(size=len(y))
    found = confound_tests.confound_test(
        y, score, confound, kind="partial", n_permutations=100, seed=1
    )
    for name, a, b in (
        ("r2_label_confound", y[:, None], confound),
        ("r2_score_confound", score[:, None], confound),
        ("r2_label_score", y[:, None], score),
    ):
        # R² of a line through two columns is the same from either side.
        assert found[name] == pytest.approx(LinearRegression().fit(a, b).score(a, b), abs=1e-9)


def test_units_do_not_matter_and_texts_are_categories():
    rng, y, confound = data()
    score = confound.to_numpy() + rng.normal(size=len(y))
    how = {"kind": "full", "n_permutations": 100, "seed": 1}
    one = confound_tests.confound_test(y, score, confound, **how)
    other = confound_tests.confound_test(y, score, 1400 + 90 * confound, **how)
    assert one["p"] == other["p"]
    site = pd.Series(np.where(confound > 0.5, "A", "B"))
    said = confound_tests.confound_test(y, score, site, kind="partial", n_permutations=100, seed=1)
    assert said["p"] < 0.05
    assert said["reason"] == ""


def test_where_nothing_varies_there_is_no_test():
    _, y, confound = data()
    flat = confound_tests.confound_test(
        y, np.ones(len(y)), confound, kind="partial", n_permutations=100, seed=1
    )
    assert np.isnan(flat["p"])
    assert "does not vary" in flat["reason"]


def record(n=24, seed=0):
    rng = np.random.default_rng(seed)
    fold = np.arange(n) % 3
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(n)],
            "protocol": "nested", "representation": "radiomics", "classifier": "knn",
            "repeat": 0, "fold": fold, "y_true": rng.integers(0, 2, n), "y_pred": 1,
            "score": rng.normal(size=n) * 10.0**fold,
        }
    )  # fmt: skip


def test_scores_are_put_on_one_scale_within_their_fold():
    table = record()
    scale = confound_tests.fold_scores(table)
    moved = table.assign(score=np.exp(table["score"] / 100) + 1000 * table["fold"])
    pd.testing.assert_series_equal(scale, confound_tests.fold_scores(moved))
    own = table[table["fold"] == 1].sort_values("score")["participant_id"]
    np.testing.assert_allclose(scale[own], norm.ppf((np.arange(8) + 0.5) / 8), atol=1e-12)


def test_tests_of_models_are_kept_and_corrected(tmp_path):
    table = record(48, seed=2)
    rng = np.random.default_rng(3)
    people = pd.Index(table["participant_id"], name="participant_id")
    age = pd.DataFrame({"age": rng.normal(60, 9, 48)}, index=people)
    age.iloc[0] = np.nan
    quality = pd.DataFrame({"snr": rng.normal(size=48), "peak_ratio": 1.0}, index=people)
    known = Confounds({"age": age, "quality": quality}, [])
    how = {"n_permutations": 100, "progress": False}
    found = confound_tests.confound_tests(table, known, tmp_path, **how)
    assert found[["confound", "kind"]].to_numpy().tolist() == [
        ["age", "partial"], ["age", "full"],
        ["image quality: snr", "partial"], ["image quality: snr", "full"],
    ]  # fmt: skip
    assert (found["n_positive"] + found["n_negative"]).tolist() == [47, 47, 48, 48]
    partial = found[found["kind"] == "partial"]
    # Holm with two tests: the smaller p twice, at most 1; the larger not below it.
    assert partial["p_holm"].min() == pytest.approx(min(1, 2 * partial["p"].min()))
    times = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    pd.testing.assert_frame_equal(
        found, confound_tests.confound_tests(table, known, tmp_path, **how)
    )
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
