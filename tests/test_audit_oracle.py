"""The audit against independent computations.

Every inconsistency that the book claims, and the numbers that hold, are computed here a second
time: by scipy and statsmodels on other routes, by brute force, or on simulated scores.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import (
    auc,
    average_precision_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from alsnb import audit as audit_module
from alsnb import audit_bounds as bounds
from alsnb.audit import audit


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return audit().set_index("id")


INCONSISTENT = [
    "field_of_view", "slab", "tuning_test_size", "percent_als_age.<60", "percent_als_age.60-75",
    "sex_chi2", "age_ks", "recall_abstract", "recall_text", "f1_abstract", "auc_radiomics",
    "auprc_radiomics", "table_numbers",
]  # fmt: skip
HOLD = [
    "total", "mimic_diseases", "table1_sums", "radiomics_classes", "deep_features", "train_size",
    "test_size", "dl7_over_dl8", "median_f1", "best_of_columns", "grid_membership", "sex_p",
    "medians_in_bins", "left_skew", "precision_places", "f1_tables_dl7", "f1_pair_abstract",
    "f1_pair_results", "years",
]  # fmt: skip


def test_verdicts(items):
    inconsistent = items.index[items["verdict"] == "inconsistent"]
    assert sorted(inconsistent) == sorted(INCONSISTENT)
    assert (items.loc[HOLD, "verdict"] == "consistent").all()
    assert set(items["verdict"]) <= set(audit_module.VERDICTS)
    for verdict, ids in {
        "rounding": ["f1_from_pr_dl7", "f1_from_pr_dl8"],
        "in part": ["smote_size", "metrics_of_classes"],
        "not shown": ["median_informative", "cells_above_trivial"],
    }.items():
        assert set(items.index[items["verdict"] == verdict]) == set(ids), verdict
    assert (items.loc[["age_means", "best_above_trivial"], "verdict"] == "undecided").all()


def test_every_item_is_complete_and_says_what_would_settle_it(items):
    assert items.index.is_unique
    texts = items[["what", "where", "printed", "recomputed", "how"]]
    assert (texts.map(len) > 0).all().all()
    open_items = items[items["verdict"] != "consistent"]
    assert (open_items["would_resolve"] != "").all()


# The inconsistencies, one by one.


def test_chi_square_by_statsmodels(items):
    table = Table2x2(np.array([[230, 318], [34, 72]]), shift_zeros=False)
    assert items.loc["sex_chi2", "recomputed_value"] == pytest.approx(
        table.test_nominal_association().statistic, rel=1e-12
    )
    assert "(with Yates's correction 3.214)" in items.loc["sex_chi2", "recomputed"]
    # One woman more and one man less gives the printed value with Yates: the formula by hand.
    by_hand = 654 * (abs(231 * 72 - 317 * 34) - 327) ** 2 / (548 * 106 * 265 * 389)
    assert round(by_hand, 2) == 3.34
    assert "231 F and 317 M" in items.loc["sex_chi2", "how"]


def test_no_other_count_nearby_gives_the_printed_chi_square():
    found = set()
    for a, b in itertools.product(range(226, 235), range(30, 39)):
        for correction in (0.0, 327.0):
            cross = max(abs(a * (106 - b) - (548 - a) * b) - correction, 0)
            chi2 = 654 * cross**2 / (548 * 106 * (a + b) * (654 - a - b))
            if abs(chi2 - 3.34) <= 0.005:
                found.add((a, b, bool(correction)))
    assert found == {(231, 34, True)}
    table = bounds.chi_square_counts(3.34, np.array([[230, 318], [34, 72]]))
    assert table[["moved_0", "moved_1", "yates"]].to_numpy().tolist() == [[1, 0, True]]


def test_ks_p_by_permutation(items):
    """Shuffled labels, no formula: how often a gap of 0.105 or more occurs by chance."""
    rng = np.random.default_rng(0)
    n, draws = 654, 4000
    order = rng.permuted(np.tile(np.repeat([1 / 548, -1 / 106], [548, 106]), (draws, 1)), axis=1)
    gaps = np.abs(order.cumsum(axis=1)).max(axis=1)
    p_low, p_high = (gaps >= 0.115).mean(), (gaps >= 0.105).mean()
    assert order.shape[1] == n
    exact = bounds.ks_p_values(0.105, 0.115, 548, 106)["exact"]
    # Standard error of a share near 0.26 from 4000 draws is 0.007; three of them.
    assert exact.max() == pytest.approx(p_high, abs=0.021)
    assert exact.min() == pytest.approx(p_low, abs=0.021)
    # The largest p of any method is below all that rounds to 0.29.
    assert items.loc["age_ks", "recomputed_value"] < 0.285


def test_ks_distances_are_reached_as_asked():
    table = bounds.ks_p_values(0.105, 0.115, 548, 106)
    assert table["d"].between(0.105, 0.115).all()
    # Steps of the lattice are fine enough for the ends to matter little (p moves by 0.002).
    assert table["d"].min() < 0.1055
    assert table["d"].max() > 0.1145
    # scipy's own large-sample p is the approximation with rounded effective size: close by.
    scipy_p = stats.kstwo.sf(table["d"], round(548 * 106 / 654))
    np.testing.assert_allclose(table["exact"], scipy_p, atol=0.005)


@pytest.mark.parametrize(
    ("id", "count", "printed"),
    [("percent_als_age.<60", 171, 31.1), ("percent_als_age.60-75", 293, 53.6)],
)
def test_percentages_that_no_count_gives(items, id, count, printed):
    assert items.loc[id, "recomputed_value"] == pytest.approx(100 * count / 548)
    assert round(100 * count / 548, 1) != printed


def test_always_als_by_scikit_learn(items):
    truth = np.repeat([1, 0], [548, 106])
    trivial = 100 * f1_score(truth, np.ones_like(truth))
    assert items.loc["median_informative", "recomputed_value"] == pytest.approx(trivial)
    assert items.loc["cells_above_trivial", "recomputed_value"] == 1
    cells = audit_module.cells_against_always_positive()
    assert cells.loc[cells["above"], "classifier"].tolist() == ["SVM (P)"]


def test_corrected_t_by_simulation_of_its_definition():
    scores = np.array([0.02, 0.05, 0.11])
    t, p = bounds.corrected_t(scores.mean(), scores.std(ddof=1), n_folds=3, n_train=436, n_test=218)
    plain = stats.ttest_1samp(scores, 0, alternative="greater")
    # The correction only stretches the error: 1/3 becomes 1/3 + 1/2.
    assert t == pytest.approx(plain.statistic * np.sqrt((1 / 3) / (1 / 3 + 0.5)), rel=1e-12)
    assert p > plain.pvalue
    # An sd divided by k instead of k - 1 gives the same test when that is said.
    again = bounds.corrected_t(
        scores.mean(), scores.std(ddof=0), n_folds=3, n_train=436, n_test=218, ddof=0
    )
    assert again == pytest.approx((t, p), rel=1e-12)


def test_lowest_auprc_by_the_worst_ranking(items):
    truth = np.repeat([1, 0], [548, 106])
    worst = np.where(truth == 1, 0.0, 1.0) + np.linspace(0, 0.1, 654)
    average = average_precision_score(truth, worst)
    precision, recall, _ = precision_recall_curve(truth, worst)
    bound = items.loc["auprc_radiomics", "recomputed_value"]
    # Steps of one person against the continuous curve: they differ by about 1 / 548.
    assert average == pytest.approx(bound, abs=2 / 548)
    assert auc(recall, precision) == pytest.approx(bound, abs=2 / 548)
    assert bound > 0.365  # anything printed as 0.36


def test_no_ranking_beats_the_auprc_bound_from_below():
    # All orders of 7 people, 4 positive: the smallest area is the one that the bound assumes.
    areas = []
    for positives in itertools.combinations(range(7), 4):
        truth = np.isin(np.arange(7), positives).astype(int)
        areas.append(average_precision_score(truth, -np.arange(7)))
    last = average_precision_score([0, 0, 0, 1, 1, 1, 1], -np.arange(7))
    assert min(areas) == pytest.approx(last)
    assert min(areas) >= bounds.lowest_auprc(4 / 7)


def test_lowest_auc_by_all_rankings(items):
    """Every order of 8 people: AUC is never below recall times specificity, at any cut."""
    for positives in itertools.combinations(range(8), 5):
        truth = np.isin(np.arange(8), positives).astype(int)
        area = roc_auc_score(truth, -np.arange(8))
        for cut in range(9):
            recall = truth[:cut].sum() / 5
            specificity = (truth[cut:] == 0).sum() / 3
            assert area >= bounds.lowest_auc(recall, specificity) - 1e-12
    assert items.loc["auc_radiomics", "recomputed_value"] > 0.315  # anything printed as 0.31
    # On a fine mesh over what rounds to 0.89 and 0.85, nothing is lower.
    p, r = np.meshgrid(np.linspace(0.885, 0.895, 101), np.linspace(0.845, 0.855, 101))
    mesh = r * (1 - r * (1 / p - 1) * 548 / 106)
    floor = bounds.lowest_auc_of((0.885, 0.895), (0.845, 0.855), 548, 106)
    assert floor == pytest.approx(mesh.min(), rel=1e-9)
    assert items.loc["auc_radiomics", "recomputed_value"] == pytest.approx(floor)


def test_released_scripts_negative_class_auc_is_one_minus_auc():
    """The reading offered for 0.31: scores of class 0 rated against labels of class 1."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 200)
    score = truth + rng.normal(size=200)
    assert roc_auc_score(truth, -score) == pytest.approx(1 - roc_auc_score(truth, score))


def test_recall_and_f1_places(items):
    # What rounds to F1 91.76 and precision 0.88 leaves 0.95 and 0.96 for the recall, not 0.94.
    f1 = np.array([0.91755, 0.91765])
    precision = np.array([0.885, 0.875])
    recall = f1 * precision / (2 * precision - f1)
    assert {round(r, 2) for r in np.linspace(*recall, 100)} == {0.95, 0.96}
    assert round(0.9176, 2) == 0.92 != 0.91
    assert items.loc["recall_abstract", "recomputed"] == "0.95 in Table 4"


def test_field_of_view_and_slab(items):
    from nilearn.datasets import load_mni152_brain_mask

    inside = np.argwhere(np.asarray(load_mni152_brain_mask(resolution=1).dataobj) > 0)
    extent = inside.max(axis=0) - inside.min(axis=0) + 1
    assert tuple(extent) == audit_module.MNI_BRAIN_MM
    assert items.loc["field_of_view", "recomputed_value"] == 512 > 2 * extent[1]
    assert items.loc["slab", "recomputed_value"] == 120 < 0.9 * extent[2]


def test_tuning_split(items):
    assert items.loc["tuning_test_size", "recomputed_value"] == pytest.approx(100 / 3)


# What holds, and what rounding leaves open.


def test_welch_by_statsmodels(items):
    """Samples with exactly the printed means and sds, through statsmodels."""
    samples = []
    for mean, sd, n in ((64, 12, 548), (60, 15, 106)):
        z = np.linspace(-1, 1, n)
        z = (z - z.mean()) / z.std(ddof=1)
        samples.append(DescrStatsW(mean + sd * z))
    _, p, _ = CompareMeans(*samples).ttest_ind(usevar="unequal")
    assert items.loc["age_means", "recomputed_value"] == pytest.approx(p, rel=1e-6)
    assert round(p, 3) == 0.011
    p, low, high = bounds.welch_range((64, 12, 548), (60, 15, 106))
    rng = np.random.default_rng(2)
    for a, b, c, d in rng.uniform(-0.5, 0.5, (200, 4)):
        inside = stats.ttest_ind_from_stats(
            64 + a, 12 + b, 548, 60 + c, 15 + d, 106, equal_var=False
        ).pvalue
        assert low <= inside <= high


def test_implied_confusion_by_enumeration():
    table = audit_module.implied_confusions()
    dl7 = table.loc["dl7"]
    assert dl7.loc["printed", ["tp", "fp", "tn", "fn"]].tolist() == [521, 71, 35, 27]
    # Brute force over every matrix of 548 and 106, vectorised, without the module's loop.
    tp, fp = np.meshgrid(np.arange(1, 549), np.arange(0, 107), indexing="ij")
    precision, recall = tp / (tp + fp), tp / 548
    fits = (np.abs(precision - 0.88) <= 0.005 + 1e-9) & (np.abs(recall - 0.95) <= 0.005 + 1e-9)
    specificity = ((106 - fp) / 106)[fits]
    assert dl7.loc["lowest", "specificity"] == pytest.approx(specificity.min())
    assert dl7.loc["highest", "specificity"] == pytest.approx(specificity.max())


def test_one_matrix_by_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

    truth = np.repeat([1, 1, 0, 0], [521, 27, 71, 35])
    called = np.repeat([1, 0, 1, 0], [521, 27, 71, 35])
    found = bounds.confusion(521, 71, 548, 106)
    assert found["mcc"] == pytest.approx(matthews_corrcoef(truth, called))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, called))
    assert found["f1"] == pytest.approx(f1_score(truth, called))
    assert round(found["mcc"], 2) == 0.35


def test_smote_sizes_by_imblearn():
    from imblearn.over_sampling import SMOTE
    from sklearn.model_selection import StratifiedKFold

    labels = np.repeat([1, 0], [548, 106])
    x = np.random.default_rng(3).normal(size=(654, 2))
    sizes = []
    for train, _ in StratifiedKFold(3, shuffle=True, random_state=42).split(x, labels):
        sizes.append(len(SMOTE(random_state=0).fit_resample(x[train], labels[train])[1]))
    assert sorted(sizes) == sorted(bounds.smote_sizes(548, 106, 3)["balanced"]) == [730, 730, 732]


def test_median_and_dl7_over_dl8_by_hand(items):
    dl7 = [90.35, 91.76, 87.71, 91.11, 70.15, 90.58, 90.11, 88.45]
    dl8 = [88.04, 89.77, 85.92, 80.65, 77.65, 86.97, 85.85, 86.53]
    radiomics = [85.10, 85.82, 83.84, 78.55, 68.99, 85.92, 85.85, 86.83]
    assert items.loc["median_f1", "recomputed_value"] == pytest.approx(
        np.median(dl7 + dl8 + radiomics)
    )
    assert [a > b for a, b in zip(dl7, dl8, strict=True)].index(False) == 4
    assert items.loc["dl7_over_dl8", "recomputed_value"] == 7


@pytest.mark.parametrize(
    ("id", "p", "r", "printed", "verdict"),
    [
        ("f1_from_pr_radiomics", 0.89, 0.85, 0.87, "consistent"),
        ("f1_from_pr_dl7", 0.88, 0.95, 0.92, "rounding"),
        ("f1_from_pr_dl8", 0.87, 0.92, 0.90, "rounding"),
    ],
)
def test_f1_by_the_harmonic_mean(items, id, p, r, printed, verdict):
    assert items.loc[id, "recomputed_value"] == pytest.approx(stats.hmean([p, r]))
    draws = np.random.default_rng(4).uniform(-0.005, 0.005, (2, 5000))
    reachable = {round(v, 2) for v in stats.hmean([p + draws[0], r + draws[1]])}
    assert printed in reachable
    assert items.loc[id, "verdict"] == verdict


@pytest.mark.parametrize(
    ("id", "p", "r", "printed", "digits"),
    [("f1_pair_abstract", 0.88, 0.94, 0.91, 2), ("f1_pair_results", 0.88, 0.96, 0.92, 2)],
)
def test_the_text_s_own_pairs_give_the_text_s_own_f1(items, id, p, r, printed, digits):
    """In the authors' favour: within a passage, precision, recall and F1 belong together."""
    assert items.loc[id, "recomputed_value"] == pytest.approx(stats.hmean([p, r]))
    assert round(stats.hmean([p, r]), digits) == printed
    # A matrix of whole people of that kind exists, by scikit-learn.
    tp = round(548 * r)
    fp = round(tp / p) - tp
    truth = np.repeat([1, 0], [548, 106])
    called = np.concatenate([np.arange(548) < tp, np.arange(106) < fp]).astype(int)
    assert round(f1_score(truth, called), digits) == printed


def test_section_4_s_pair_fits_table_3_better_than_table_4_s():
    # What rounds to Table 3's 91.76 % in per mille: 918.
    assert round(1000 * stats.hmean([0.88, 0.96])) == round(10 * 91.76) == 918
    assert round(1000 * stats.hmean([0.88, 0.95])) == 914


def test_each_class_would_need_its_own_values(items):
    """Precision, recall and AUPRC differ between the classes of one and the same model."""
    from sklearn.metrics import precision_score, recall_score

    truth = np.repeat([1, 1, 0, 0], [521, 27, 71, 35])
    called = np.repeat([1, 0, 1, 0], [521, 27, 71, 35])
    for score in (precision_score, recall_score, f1_score):
        assert abs(score(truth, called) - score(truth, called, pos_label=0)) > 0.3
    assert items.loc["metrics_of_classes", "recomputed_value"] == 5 * 3


def test_years_by_the_calendar(items):
    """Every start in 2010 and end in 2018: eight years are among the lengths."""
    days = [pd.date_range(f"{y}-01-01", f"{y}-12-31", freq="MS") for y in (2010, 2018)]
    lengths = {(b - a).days / 365.25 for a, b in itertools.product(*days)}
    assert min(lengths) < 8 < max(lengths)
    assert items.loc["years", "recomputed_value"] == round(np.mean(list(lengths)))
    assert len(range(2010, 2018 + 1)) == 9
    assert "9 calendar years" in items.loc["years", "recomputed"]


def test_no_isotropic_voxel_fits_matrix_and_slices(items):
    widest, thinnest = 2 * 181 / 512, 0.9 * 155 / 120
    assert widest < thinnest
    assert f"{widest:.2f} mm" in items.loc["slab", "how"]
    assert f"{thinnest:.2f} mm" in items.loc["slab", "how"]


def test_exact_sums_that_hold():
    assert 18 + 14 + 24 + 14 + 16 + 16 + 5 == 107
    assert 62 + 28 + 10 + 6 == 106
    assert round(stats.chi2.sf(3.34, 1), 2) == 0.07
