"""Invariants: pages of real people show no small count and no single person's age."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsnb import demographics, disclosure


def people(n: tuple[int, int], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    total = sum(n)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:03d}" for i in range(total)],
            "label": [1] * n[0] + [0] * n[1],
            "group": ["ALS"] * n[0] + ["mimic"] * n[1],
            "age": rng.integers(20, 90, total).astype(float),
            "sex": rng.choice(["F", "M"], total, p=[0.3, 0.7]),
        }
    )


@given(st.integers(5, 90), st.integers(5, 60), st.integers(2, 15), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_no_small_count_is_shown_or_left_to_subtraction(n_positive, n_negative, minimum, seed):
    table = people((n_positive, n_negative), seed)
    shown = disclosure.table1(table, minimum)
    for column in shown:
        size = n_positive if column.startswith("ALS") else n_negative
        for variable in ("Sex, n (%)", "Age in years, n (%)"):
            texts = shown.loc[variable, column]
            counts = [int(t.split(" ")[0]) for t in texts if t != disclosure.HIDDEN]
            hidden = len(texts) - len(counts)
            assert all(c >= minimum for c in counts)
            # One hidden count alone is the group less the others.
            assert hidden != 1 or size == sum(counts)
    assert (shown.loc[("Age in years", "range")] == disclosure.HIDDEN).all()


def test_nothing_is_hidden_where_nobody_is_real():
    table = people((30, 9), 1)
    pd.testing.assert_frame_equal(disclosure.table1(table), demographics.table1(table))
    pd.testing.assert_frame_equal(disclosure.counts(table), demographics.counts(table))
    assert {"min", "max"} <= set(disclosure.age_summary(table))


def test_hidden_counts_agree_between_the_table_and_the_bars():
    table = people((40, 15), 2)
    shown = disclosure.table1(table, 10)
    for row in disclosure.counts(table, 10).to_dict("records"):
        title = "Sex, n (%)" if row["variable"] == "sex" else "Age in years, n (%)"
        size = 40 if row["label"] else 15
        text = shown.loc[(title, row["level"]), f"{row['group']} (n = {size})"]
        assert (text == disclosure.HIDDEN) == np.isnan(row["n"])
        assert text == disclosure.HIDDEN or re.match(r"\d+ \(", text)


@pytest.mark.parametrize(("n", "drawn"), [((60, 50), 5), ((200, 49), None), ((600, 700), 60)])
def test_each_quantile_stands_for_enough_people(n, drawn):
    found = disclosure.age_quantiles(people(n, 3), 10)
    if drawn is None:
        assert found is None
    else:
        assert (found["label"].value_counts() == drawn).all()


def test_the_median_of_few_is_one_persons_age():
    table = people((40, 15), 4)
    found = disclosure.age_summary(table, 10).set_index("group")["median"]
    assert np.isfinite(found["ALS"])
    assert np.isnan(found["mimic"])


def test_counts_by_group_hide_small_ones_and_their_partners():
    table = pd.DataFrame({"ALS": [90, 11, 3], "mimic": [19, 0, 0]}, ["a", "b", "c"])
    found = disclosure.by_group(table, 10)
    # 3 is small, and 11 would give it away; that 19 are all of them, that the others are none.
    assert found["ALS"].tolist() == [90, disclosure.HIDDEN, disclosure.HIDDEN]
    assert found["mimic"].tolist() == [disclosure.HIDDEN] * 3
    pd.testing.assert_frame_equal(disclosure.by_group(table[:1], 100), table[:1])
    pd.testing.assert_frame_equal(disclosure.by_group(table), table)


def test_people_of_unknown_age_and_sex_have_no_counts():
    table = people((20, 12), 5).assign(age=np.nan, sex=None)
    assert disclosure.counts(table, 10).empty
    assert disclosure.table1(table, 10).empty


@given(st.integers(5, 60), st.integers(5, 60), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_hidden_counts_cannot_be_computed_from_the_tests(n_positive, n_negative, seed):
    table, minimum = people((n_positive, n_negative), seed), 10
    texts = disclosure.table1(table, minimum).loc["Sex, n (%)"].to_numpy().ravel()
    tests = disclosure.group_tests(table, minimum)
    sex = tests[(tests["variable"] == "sex") & (tests["test"] != "none")]
    numbers = sex[["statistic", "p", "effect", "effect_low", "effect_high"]]
    whole = demographics.group_tests(table)
    if (texts == disclosure.HIDDEN).any():
        assert numbers.isna().all(axis=None)
        assert sex["note"].str.contains("hidden").all()
        # No digit of a count: the smallest expected one was printed in the note before.
        assert not sex["note"].str.contains("expected").any()
        if len(sex):
            assert "*p* hidden" in disclosure.tests_in_words(table, minimum)
    else:
        pd.testing.assert_frame_equal(tests, whole)
    age = whole["variable"] == "age"
    pd.testing.assert_frame_equal(tests[age], whole[age])
    said = disclosure.tests_in_words(table, minimum)
    # The last bracket holds the numbers; a name may have one of its own.
    first = whole.loc[whole["p"].notna(), "test"].iloc[0]
    named = said.rpartition(f" ({first}: ")[0]
    differ = whole.loc[whole["p"] < disclosure.DIFFERS, "test"]
    assert named == (
        "At 5 %, these tests find a difference: " + ", ".join(differ)
        if len(differ)
        else "No test finds a difference at 5 %"
    )


def test_sex_is_hidden_where_a_count_of_it_is():
    table = people((40, 30), 1).assign(sex=["F", "M"] * 35)
    assert not disclosure.sex_hidden(table, 10)
    few = table.assign(sex=["F"] * 5 + ["M"] * 30 + ["F", "M"] * 17 + ["M"])
    assert disclosure.sex_hidden(few, 10)
    assert not disclosure.sex_hidden(few)
    assert not disclosure.sex_hidden(table.assign(sex=None), 10)
