"""The transcription of the paper: spot checks typed a second time, and its inner consistency."""

from __future__ import annotations

import numpy as np
import pytest

from alsnb import published
from alsnb.errors import ParameterError


def test_every_number_has_key_place_and_value():
    table = published.numbers()
    assert table.index.is_unique
    assert np.isfinite(table["value"]).all()
    assert (table["where"] != "").all()
    assert (table["quantity"] != "").all()
    assert len(table) > 180


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("cohort.n", 654),
        ("patients.als.age.60-75.n", 293),
        ("patients.mimic.age.<60.percent", 39.6),
        ("text.mimic.age.mean", 60),
        ("table2.sex.chi2", 3.34),
        ("table2.age.ks", 0.11),
        ("table3.dl8.svm_sigmoid", 80.65),
        ("table4.radiomics.auc", 0.31),
        ("abstract.best.recall", 0.94),
        ("results.best.recall", 0.96),
        ("smote.n", 730),
        ("dnn.patience", 50),
    ],
)
def test_values_typed_again(key, expected):
    assert published.value(key) == expected


def test_a_number_is_given_as_printed():
    assert published.printed("table3.dl7.svm_poly") == "91.76 ± 0.31"
    assert published.printed("table4.dl8.f1") == "0.90"  # with its zero
    with pytest.raises(ParameterError, match="prints no number"):
        published.printed("table5")


def test_rounding_interval_follows_the_printed_digits():
    # 0.90 is printed with its zero: half a unit of the second decimal.
    assert published.interval("table4.dl8.f1") == pytest.approx((0.895, 0.905))
    assert published.interval("abstract.best.auc") == pytest.approx((0.65, 0.75))
    assert published.interval("smote.n") == pytest.approx((729.5, 730.5))


def test_table3_is_complete_and_in_the_papers_order():
    table = published.table3()
    assert len(table) == 24
    assert list(dict.fromkeys(table["classifier"])) == [
        "SVM (L)", "SVM (P)", "SVM (RBF)", "SVM (S)", "Knn", "RF", "DNNt", "DNNv",
    ]  # fmt: skip
    assert not table.isna().any().any()
    # Sums typed from the printed table, a check on every cell at once.
    sums = table.groupby("representation")["mean"].sum()
    assert sums["Radiomics"] == pytest.approx(660.90)
    assert sums["DL7"] == pytest.approx(700.22)
    assert sums["DL8"] == pytest.approx(681.38)
    assert table["sd"].sum() == pytest.approx(51.69)


def test_table4_and_tables_1_and_2():
    table = published.table4()
    assert table.loc["auprc"].tolist() == [0.36, 0.91, 0.87]
    assert table["dl7"].tolist() == [0.92, 0.88, 0.95, 0.69, 0.91]
    counts = published.table1()
    assert counts.groupby(["variable", "label"])["n"].sum().tolist() == [106, 548, 106, 548]
    assert published.table2()["p"].tolist() == [0.07, 0.29]
    assert published.composition()["n"].tolist() == [548, 62, 28, 10, 6]
    assert published.ages()["sd"].tolist() == [12, 15]


def test_hyperparameters_lie_in_the_grids():
    grids = published.grids()
    table = published.hyperparameters()
    assert len(table) == 24
    for row in table.to_dict("records"):
        assert row["value"] in grids[row["classifier"], row["parameter"]]
    assert grids["svm_rbf", "gamma"] == [0.001, 0.01, 0.1, 1, 10]


def test_the_bold_cells_are_the_best_classifiers():
    table = published.numbers()
    bold = table.index[table["note"].str.startswith("printed bold")]
    expected = {f"table3.{r}.{c}" for r, c in published.BEST_CLASSIFIER.items()}
    assert set(bold) == expected


def test_text_against_code_names_switches_that_exist():
    switches = pytest.importorskip("alsnb.switches")
    table = published.text_against_code()
    known = set(switches.Protocol.__dataclass_fields__) | {"batch_norm", ""}
    assert set(table["switch"]) <= known
    # Every switch by which the released protocol departs from the published one is explained.
    turned = switches.differences().query("published != released")["switch"]
    assert set(turned) <= set(table["switch"])
    assert (table["consequence"] != "").all()


def test_an_unknown_key_is_refused():
    with pytest.raises(ParameterError, match="table9"):
        published.value("table9.f1")


def test_callers_cannot_change_the_record():
    table = published.numbers()
    table.loc["cohort.n", "value"] = 0
    assert published.value("cohort.n") == 654
