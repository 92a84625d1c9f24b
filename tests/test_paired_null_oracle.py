"""How often paired tests reject where there is nothing, reckoned twice (oracle)."""

import numpy as np
import pandas as pd
import pytest

from alsnb import comparison, paired_null
from alsnb.primary_test import primary_test


def test_p_values_are_those_of_the_comparison_of_models():
    """The same cohorts, drawn here, and compared by the room that the chapter uses."""
    made = paired_null.drawn(30, 12, 3, 5, 3, 7)
    assert made["cohort"].tolist() == [3, 3, 4, 4]
    people = pd.Index([f"p{i:06d}" for i in range(42)], name="participant_id")
    labels = pd.Series(np.repeat([1, 0], [30, 12]), index=people)
    rng = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(6, 4)))
    parts = []
    for width in paired_null.WIDTHS:
        table = pd.DataFrame(rng.standard_normal((42, width)), people).add_prefix("f")
        how = {"seed": 7 + 4, "n_permutations": 0, "representation": str(width)}
        parts.append(primary_test(table, labels, **how).predictions)
    pair = tuple((str(width), "ridge") for width in paired_null.WIDTHS)
    table = comparison.compare(pd.concat(parts, ignore_index=True), [pair], metrics=())
    own = made[made["cohort"] == 4].set_index("test")["p"]
    for test, p in table.set_index("test")["p"].items():
        assert own[test] == pytest.approx(p, rel=1e-9)


def test_delongs_test_rejects_too_often_and_the_store_is_found_again(tmp_path):
    size = paired_null.measure(101, 19, tmp_path, n_cohorts=100, progress=False)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 4
    times = [path.stat().st_mtime_ns for path in kept]
    again = paired_null.measure(101, 19, tmp_path, n_cohorts=100, n_jobs=2, progress=False)
    pd.testing.assert_frame_equal(size, again)
    assert times == [path.stat().st_mtime_ns for path in kept]
    # Measured on 250 cohorts: 16 % and 7 %. Of 100, 5 % would be above 9 once in 35 times.
    assert size.loc["DeLong", "hits"] > 9
    assert size.loc["corrected t", "hits"] < size.loc["DeLong", "hits"]
    assert size.loc["DeLong", "lower"] < 0.16 < size.loc["DeLong", "upper"]
    said = paired_null.in_words(size)
    assert f"calls their AUCs different at 5 % in {size.loc['DeLong', 'hits']:.0f} % (" in said
    assert "100 cohorts of this size" in said
