"""Power: the generator against analytic values and its own definition; curves and their store."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from alsnb import control_words, controls, parameters, power_bank, power_generator, power_study
from alsnb.errors import ParameterError
from alsnb.extractors import EmbeddingExtractor
from alsnb.power_bank import Bank
from alsnb.power_generator import Generator
from alsnb.primary_test import quick_test
from alsnb.switch_cohorts import Cohort
from alsnb.switch_cohorts import Settings as Planted


def made_up_bank(n_people=60, n_paired=20, n_features=5, seed=0):
    """Features of people who lose in proportion to the level, and each a bit differently."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(n_features) + 0.3 * rng.standard_normal((n_features,) * 2)
    base = rng.standard_normal((n_people, n_features)) @ mixing
    base = np.hstack([base, np.full((n_people, 1), 3.0)])  # the last is the same in everybody
    heads = [power_bank.Head(i, 60.0, "F", "none", 0.0) for i in range(n_people)]
    rows = [base]
    slope = {"focal": rng.standard_normal(6), "diffuse": rng.standard_normal(6)}
    for kind, levels in (("focal", (0.2, 0.6)), ("diffuse", (0.1,))):
        own = slope[kind] + 0.3 * rng.standard_normal((n_paired, 6))
        own[:, -1] = 0
        for level in levels:
            heads += [power_bank.Head(i, 60.0, "F", kind, level) for i in range(n_paired)]
            rows.append(base[:n_paired] + level * own)
    table = pd.DataFrame(np.vstack(rows)).add_prefix("original_")
    lost = [10.0 * h.level for h in heads]
    return Bank(pd.DataFrame(heads).assign(lost_ml=lost), {"radiomics": table})


def simple(delta, n_features=4):
    shifts = np.zeros((2, 10, n_features))
    shifts[1, :, 0] = delta
    return Generator(np.eye(n_features), {"focal": shifts}, {"focal": (0.0, 0.5)}, 0.0)


def test_the_covariance_is_ledoit_and_wolfs_and_constants_are_left_out():
    bank = made_up_bank()
    made = power_generator.generator(bank, "radiomics")
    assert made.n_features == 5
    assert made.n_paired == 20
    base = bank.tables["radiomics"].to_numpy()[:60, :5]
    scaled = (base - base.mean(axis=0)) / base.std(axis=0)
    expected = LedoitWolf().fit(scaled)
    np.testing.assert_allclose(made.root @ made.root.T, expected.covariance_, atol=1e-10)
    assert made.shrinkage == pytest.approx(expected.shrinkage_)


def test_the_generator_is_the_same_to_the_bit_on_any_number_of_threads():
    rng = np.random.default_rng(0)  # 400 people, 256 features: the size at which threads share
    values = rng.standard_normal((400, 40)) @ rng.standard_normal((40, 256))
    heads = [power_bank.Head(i, 60.0, "F", "none", 0.0) for i in range(400)]
    table = pd.DataFrame(values + 0.1 * rng.standard_normal((400, 256)))
    bank = Bank(pd.DataFrame(heads).assign(lost_ml=0.0), {"dl7": table})
    made = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            made.append(power_generator.generator(bank, "dl7"))
    assert made[0].root.tobytes() == made[1].root.tobytes()
    assert made[0].shrinkage == made[1].shrinkage


def test_a_change_is_interpolated_between_levels_and_adds_up():
    made = power_generator.generator(made_up_bank(), "radiomics")
    raw = {k: v.mean(axis=1) for k, v in made.shifts.items()}
    # the made-up people lose in proportion, so half-way is half the shift, up to rounding
    np.testing.assert_allclose(raw["focal"][1] * 3, raw["focal"][2], atol=1e-9)
    mean, deviations = made.change({"focal": 0.4})
    direction = raw["focal"][2] / np.linalg.norm(raw["focal"][2])
    np.testing.assert_allclose(mean / np.linalg.norm(mean), direction, atol=1e-9)
    total = made.shifts["focal"][2] * (2 / 3)
    np.testing.assert_allclose(deviations.T @ deviations, np.cov(total.T), atol=1e-9)
    both, own = made.change({"focal": 0.6, "diffuse": 0.1})
    total = made.shifts["focal"][2] + made.shifts["diffuse"][1]
    np.testing.assert_allclose(own.T @ own, np.cov(total.T), atol=1e-9)
    # shortened, never lengthened
    assert np.linalg.norm(both) <= np.linalg.norm(total.mean(axis=0))
    _, wider = made.change({"focal": 0.4}, {"focal": 0.1})
    slope = (raw["focal"][2] - raw["focal"][1]) / 0.4
    np.testing.assert_allclose(
        wider.T @ wider - deviations.T @ deviations, 0.01 * np.outer(slope, slope), atol=1e-9
    )
    with pytest.raises(ParameterError, match=r"outside the bank's 0 to 0\.6"):
        made.change({"focal": 0.7})


def test_a_shift_of_pure_chance_is_shortened_to_nothing_on_average():
    """People who don't change on average: what is left of the squared length is about 0."""
    rng = np.random.default_rng(0)
    left, raw = [], []
    for _ in range(200):
        shifts = np.stack([np.zeros((12, 4)), rng.standard_normal((12, 4))])
        made = Generator(np.eye(4), {"focal": shifts}, {"focal": (0.0, 1.0)}, 0.0)
        left.append(np.square(made.change({"focal": 1.0})[0]).sum())
        raw.append(np.square(shifts[1].mean(axis=0)).sum())
    # cut at 0, the correction can't reach 0 on average; it takes well over half of it
    assert np.mean(left) < 0.45 * np.mean(raw)


@pytest.mark.parametrize("delta", [0.5, 1.2])
def test_the_ceiling_is_the_normal_formula(delta):
    assert simple(delta).ceiling({"focal": 0.5}) == pytest.approx(norm.cdf(delta / np.sqrt(2)))
    assert simple(delta).ceiling({"focal": 0.0}) == 0.5


def test_the_ceiling_is_what_a_discriminant_reaches_on_many_people():
    made = power_generator.generator(made_up_bank(seed=3), "radiomics")
    losses = {"focal": 0.2}
    train, test = (power_generator.draw(made, 40_000, 40_000, losses, np.random.default_rng(s))
                   for s in (0, 1))  # fmt: skip
    fitted = LinearDiscriminantAnalysis().fit(*train)
    auc = roc_auc_score(test[1], fitted.decision_function(test[0]))
    # standard error of an AUC from 40,000 a group: below 0.002
    assert auc == pytest.approx(made.ceiling(losses), abs=0.006)


def test_cohorts_share_their_people():
    made = simple(1.0)
    large, _ = power_generator.draw(made, 30, 10, {"focal": 0.5}, np.random.default_rng(7))
    small, y = power_generator.draw(made, 12, 4, {"focal": 0.5}, np.random.default_rng(7))
    none, _ = power_generator.draw(made, 30, 10, {"focal": 0.0}, np.random.default_rng(7))
    assert y.sum() == 12
    np.testing.assert_array_equal(small, np.vstack([large[:12], large[30:34]]))
    mean, _ = made.change({"focal": 0.5})
    np.testing.assert_allclose(large[:30] - none[:30], np.tile(mean, (30, 1)), atol=1e-12)
    np.testing.assert_array_equal(large[30:], none[30:])


def test_people_are_shared_out_as_in_the_paper():
    assert power_study.group_sizes(654) == (548, 106)
    assert power_study.group_sizes(120) == (101, 19)


def test_the_curve_passes_half_way_between_levels():
    settings = power_study.Settings(focal=(0.6, 0.2), diffuse=(0.1,))
    assert settings.curve("focal") == [0, 0.1, 0.2, 0.4, 0.6]
    assert settings.curve("diffuse") == [0, 0.05, 0.1]


def test_a_plan_pairs_people_and_refuses_what_can_not_be():
    heads = power_bank.plan(12, 8, {"focal": (0.3,), "diffuse": (0.1, 0.2)}, seed=1)
    table = pd.DataFrame(heads)
    assert table.groupby(["kind", "level"]).size().to_dict() == {
        ("none", 0.0): 12, ("focal", 0.3): 8, ("diffuse", 0.1): 8, ("diffuse", 0.2): 8,
    }  # fmt: skip
    assert (table.groupby("person")[["age", "sex"]].nunique() == 1).all(axis=None)
    for people, paired, levels in ((12, 13, {}), (12, 4, {}), (12, 8, {"focal": (1.2,)}),
                                   (12, 8, {"other": (0.2,)})):  # fmt: skip
        with pytest.raises(ParameterError):
            power_bank.plan(people, paired, levels, seed=1)


SMALL = power_study.Settings(
    n_people=12, n_paired=8, focal=(0.5,), diffuse=(0.2,), voxel_mm=8.0, sizes=(48, 96),
    n_draws=12, n_permutations=19,
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("power")
    return folder, power_study.run(SMALL, folder, progress=False)


def test_power_is_the_share_of_cohorts_that_the_test_finds(study):
    folder, found = study
    table = found.power
    assert len(table) == 2 * 2 * 3
    assert (table["of"] == 12).all()
    bank = power_bank.make(
        power_bank.plan(12, 8, SMALL.levels(), SMALL.seed), folder / "heads", voxel_mm=8.0,
        representations=power_study.REPRESENTATIONS, seed=SMALL.seed, progress=False,
    )  # fmt: skip
    made = power_generator.generator(bank, "radiomics")
    hits = 0
    for number in range(12):
        rng = np.random.default_rng([SMALL.seed, number])
        X, y = power_generator.draw(made, *power_study.group_sizes(48), {"diffuse": 0.2}, rng)
        hits += quick_test(X, y, seed=SMALL.seed + number, n_permutations=19)[1] <= 0.05
    row = table.set_index(["kind", "level", "n"]).loc[("diffuse", 0.2, 48)]
    assert row["hits"] == hits
    none = table[table["level"] == 0].set_index(["kind", "n"])["hits"]
    assert (none["focal"] == none["diffuse"]).all()


def test_more_loss_is_more_to_see(study):
    _, found = study
    for _, own in found.ceilings.groupby(["representation", "kind"]):
        assert own["ceiling"].is_monotonic_increasing
        assert own["lost_ml"].is_monotonic_increasing
        assert own["ceiling"].iloc[0] == 0.5
    assert set(found.ceilings["representation"]) == {"radiomics", "dl7", "dl8"}
    steps = found.steps
    table = found.power.set_index(["kind", "level", "n"])["share"]
    step = steps[(steps["along"] == "people") & (steps["kind"] == "focal")].iloc[-1]
    key = ("focal", step["level"])
    assert step["difference"] == pytest.approx(table[(*key, 96)] - table[(*key, 48)])
    assert not (steps.query("along == 'people'")["level"] == 0).any()


def test_a_second_call_reads_and_more_draws_keep_the_first(study):
    folder, found = study
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    again = power_study.run(SMALL, folder, progress=False)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    pd.testing.assert_frame_equal(again.power, found.power)


def test_the_bank_sees_through_the_runs_own_network(tmp_path):
    heads = [power_bank.Head(i, 60.0, "F", "none", 0.0) for i in range(2)]
    how = {"voxel_mm": 8.0, "representations": ("radiomics", "dl7"), "progress": False}
    plain = power_bank.make(heads, tmp_path, **how)
    other = EmbeddingExtractor(batch_norm="batch")
    made = power_bank.make(heads, tmp_path, embedding=other, **how)
    assert len(list(tmp_path.iterdir())) == 4  # a head is kept apart for each network
    pd.testing.assert_frame_equal(made.tables["radiomics"], plain.tables["radiomics"])
    assert not np.allclose(made.tables["dl7"], plain.tables["dl7"])
    asked = power_study.settings(parameters.validate({"weights": "adnet", "batch_norm": "batch"}))
    assert asked.embedding() == EmbeddingExtractor("adnet", "batch", "auto")


def test_the_shape_of_features_is_known_for_normal_and_exponential_people():
    rng = np.random.default_rng(0)
    heads = pd.DataFrame([power_bank.Head(i, 60.0, "F", "none", 0.0) for i in range(4000)])
    values = {"radiomics": rng.standard_normal((4000, 9)), "dl7": rng.exponential(size=(4000, 9))}
    tables = {k: pd.DataFrame(v).assign(still=1.0) for k, v in values.items()}
    bank = Bank(heads, tables)
    # An exponential has skewness 2 and excess kurtosis 6; the median over 9 features of 4000 people
    # has a standard error of about 0.05 and 0.5.
    assert power_bank.shape(bank, "dl7") == pytest.approx({"skew": 2, "kurtosis": 6}, rel=0.25)
    assert power_bank.shape(bank, "radiomics") == pytest.approx({"skew": 0, "kurtosis": 0}, abs=0.1)


def test_scans_are_dealt_out_again_and_compared(tmp_path):
    bank = made_up_bank(n_people=80, n_paired=80, seed=5)
    made = power_generator.generator(bank, "radiomics")
    heads, table = bank.heads, bank.tables["radiomics"]
    index = pd.Index([f"sub-{i:03d}" for i in range(80)], name="participant_id")
    part = {k: table[((heads["kind"] == k) & (heads["level"] == v)).to_numpy()].set_axis(index)
            for k, v in (("none", 0.0), ("focal", 0.6))}  # fmt: skip
    labels = pd.Series(1, index=index)
    cohorts = {n: Cohort({"radiomics": part[k]}, labels, {})
               for n, k in (("null", "none"), ("planted", "focal"))}  # fmt: skip
    planted = Planted(precentral_loss=0.6, precentral_loss_sd=0, cortical_loss=0,
                      cortical_loss_sd=0)  # fmt: skip
    rows = pd.DataFrame(power_study._check("radiomics", made, cohorts, planted, SMALL, tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = power_study._check("radiomics", made, cohorts, planted, SMALL, tmp_path, n_jobs=2)
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    pd.testing.assert_frame_equal(rows, pd.DataFrame(again))
    by = rows.set_index(["cohort", "source"])
    assert (rows["n_positive"] == 67).all()
    # normal people: both sources agree within 4 standard errors of the means of the deals
    for cohort in ("null", "planted"):
        a, b = by.loc[(cohort, "scans")], by.loc[(cohort, "generator")]
        error = np.sqrt((a["sd"] ** 2 + b["sd"] ** 2) / SMALL.n_draws)
        assert abs(a["auc"] - b["auc"]) < 4 * error
    beyond = Planted(precentral_loss=0.9)
    assert power_study._check("radiomics", made, cohorts, beyond, SMALL, tmp_path) == []


def test_words_follow_the_numbers(study):
    _, found = study
    said = control_words.monotone(found)
    if (found.steps["difference"] < 0).any():
        assert "none by more than the Monte-Carlo error" in said
    else:
        assert "none goes down" in said
    told = control_words.agreement(found)
    assert "Radiomics was not held against scans" in told
    assert f"|skewness| of {found.summary['shape']['radiomics']['skew']:.2f}" in told
    assert "from Radiomics (not held against scans), " in control_words.power(found)
    assert control_words.power(found).endswith("said of Radiomics rests on drawn people alone.")
    check = pd.DataFrame(
        [
            {"representation": "radiomics", "cohort": "null", "source": source, "auc": 0.5,
             "share": 0.1, "lower": 0.0, "upper": 0.3}
            for source in ("scans", "generator")
        ]
    )  # fmt: skip
    parts = (found.power, found.ceilings, found.steps)
    held = power_study.PowerStudy(*parts, check, found.summary)
    assert "not held against scans" not in control_words.power(held)
    # The best AUC possible is given for DL7 and DL8 too.
    assert "DL7 (weights: simulated) was not held against scans" in control_words.agreement(held)
    assert "Radiomics was not" not in control_words.agreement(held)
    assert controls.shape_table(held)["held against scans"].tolist() == ["yes", "no", "no"]
    assert controls.shape_table(found)["held against scans"].tolist() == ["no"] * 3
    high = found.power.assign(share=1.0, lower=0.7, upper=1.0)
    told = power_study.PowerStudy(high, found.ceilings, found.steps, found.check, found.summary)
    assert controls.smallest_found(told, "radiomics", "focal", 96) == 0.25
    assert "is 25 %" in control_words.power(told)
    low = found.power.assign(share=0.0, lower=0.0, upper=0.2)
    told = power_study.PowerStudy(low, found.ceilings, found.steps, found.check, found.summary)
    assert np.isnan(controls.smallest_found(told, "radiomics", "focal", 96))
    assert "no loss drawn" in control_words.power(told)
    fallen = found.steps.assign(z=-9.0)
    told = power_study.PowerStudy(low, found.ceilings, fallen, found.check, found.summary)
    assert "go down by more than" in control_words.monotone(told)
    shown = controls.power_table(found)
    assert shown["found, n = 48"].isna().sum() == 2 * 6  # no cohorts of dl7 and dl8 were drawn
