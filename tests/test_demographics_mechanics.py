"""Demographics with missing values, missing columns and odd tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsnb import demographics
from alsnb.errors import CohortError


def participants(**columns) -> pd.DataFrame:
    return pd.DataFrame({"participant_id": ["sub-01", "sub-02", "sub-03", "sub-04"]} | columns)


def test_missing_values_are_counted_and_leave_the_percentages():
    table = participants(
        label=[1, 1, 1, 0], sex=["F", "M", np.nan, "M"], age=[50.0, np.nan, 80.0, 60.0]
    )
    found = demographics.counts(table).set_index(["variable", "level", "label"])
    assert found.loc[("sex", "missing", 1), "n"] == 1
    assert found.loc[("sex", "missing", 0), "n"] == 0
    assert np.isnan(found.loc[("sex", "missing", 1), "percent"])
    assert found.loc[("sex", "F", 1), "percent"] == 50
    assert found.loc[("age", ">75", 1), "percent"] == 50
    shown = demographics.table1(table)
    assert shown.loc[("Sex, n (%)", "missing"), "positive (n = 3)"] == "1"
    assert not shown.isna().any().any()


def test_no_column_means_no_rows_but_the_other_variable_stays():
    table = participants(label=[1, 1, 0, 0], sex=["F", "M", "F", "M"])
    assert set(demographics.counts(table)["variable"]) == {"sex"}
    assert not demographics.has_age(table)
    assert demographics.has_sex(table)
    assert set(demographics.group_tests(table)["variable"]) == {"sex"}


@pytest.mark.parametrize("ages", [None, [np.nan] * 4])
@pytest.mark.parametrize(
    "function", [demographics.age_summary, demographics.age_quantiles, demographics.group_tests]
)
def test_no_age_at_all_names_the_parameter_to_set(function, ages):
    table = participants(label=[1, 1, 0, 0], **({} if ages is None else {"age": ages}))
    assert not demographics.has_age(table)
    with pytest.raises(CohortError, match="age_column"):
        function(table)


def test_ages_known_in_one_group_only():
    table = participants(label=[1, 1, 0, 0], age=[50.0, 60.0, np.nan, np.nan])
    tests = demographics.group_tests(table)
    assert "one group only" in tests.loc[0, "note"]
    assert demographics.age_summary(table)["n"].tolist() == [2, 0]
    shown = demographics.table1(table)
    assert (shown.loc["Age in years", "negative (n = 2)"] == "none known").all()
    assert set(demographics.age_quantiles(table)["label"]) == {1}


def test_one_sex_only_is_said_not_raised():
    table = participants(label=[1, 1, 0, 0], sex=["F"] * 4)
    assert "nothing to compare" in demographics.group_tests(table).loc[0, "note"]


def test_another_sex_code_is_kept_and_tested_without_yates():
    table = participants(label=[1, 1, 0, 0], sex=["F", "O", "M", "M"])
    assert demographics.sex_levels(table) == ["F", "M", "O"]
    tests = demographics.group_tests(table)
    assert not tests["test"].str.contains("Yates").any()
    assert tests["df"].iloc[0] == 2


def test_equal_ages_have_no_skewness_and_no_t_test():
    table = participants(label=[1, 1, 0, 0], age=[60.0] * 4)
    assert demographics.age_summary(table)["skewness"].isna().all()
    assert not demographics.group_tests(table)["test"].str.contains("Welch").any()


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [1, 0, 2, 0]])
def test_labels_other_than_both_classes_are_refused(labels):
    with pytest.raises(CohortError, match="label"):
        demographics.counts(participants(label=labels))


@pytest.mark.parametrize(
    ("edges", "levels", "found"),
    [
        ((60, 75), ["<60", "60-75", ">75"], ["<60", "60-75", "60-75", ">75"]),
        ((60,), ["<60", "≥60"], ["<60", "≥60", "≥60", "≥60"]),
        ((40, 60, 75), ["<40", "40-60", ">60-75", ">75"], ["40-60", "40-60", ">60-75", ">75"]),
    ],
)
def test_edges_belong_where_the_names_say(edges, levels, found):
    binned, names = demographics.age_bins(pd.Series([59.9, 60.0, 75.0, 75.1]), edges)
    assert names == levels
    assert binned.tolist() == found


@pytest.mark.parametrize("edges", [(), (75, 60), (60, 60)])
def test_edges_that_do_not_increase_are_refused(edges):
    with pytest.raises(CohortError, match="increasing"):
        demographics.age_bins(pd.Series([50.0]), edges)


def test_fewer_points_than_people_hide_single_ages():
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"label": np.repeat([1, 0], 100), "age": rng.normal(60, 10, 200)})
    assert len(demographics.age_quantiles(table, points=20)) == 40
