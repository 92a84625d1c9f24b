"""The simulated cohort against numbers from outside: the paper's tables, statistics, anatomy."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alsnb.brain_mask import brain_mask
from alsnb.scan import Scan
from alsnb.simulation import composition, simulate_head

# Printed in the paper: sections 2.1 and 3.1.1, Table 1.
PAPER = {
    "ALS": {
        "F": 230,
        "M": 318,
        "bins": (171, 293, 84),
        "median": 65,
        "range": (20, 95),
        "mean_sd": (64, 12),
        "diagnoses": {"amyotrophic lateral sclerosis": 548},
    },
    "mimic": {
        "F": 34,
        "M": 72,
        "bins": (42, 50, 14),
        "median": 62,
        "range": (17, 85),
        "mean_sd": (60, 15),
        "diagnoses": {
            "cervical spondylotic myelopathy": 62,
            "myasthenia gravis": 28,
            "monomelic amyotrophy (Hirayama)": 10,
            "peripheral motor neuropathy": 6,
        },
    },
}


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("group", ["ALS", "mimic"])
def test_full_composition_is_the_printed_one(group, seed):
    people = composition(654, seed)
    people, paper = people[people["group"] == group], PAPER[group]
    age = people["age"]
    assert people["sex"].value_counts().to_dict() == {"F": paper["F"], "M": paper["M"]}
    bins = ((age < 60).sum(), age.between(60, 75).sum(), (age > 75).sum())
    assert bins == paper["bins"]
    assert age.median() == paper["median"]
    assert (age.min(), age.max()) == paper["range"]
    assert (round(age.mean()), round(age.std())) == paper["mean_sd"]
    assert stats.skew(age) < -0.3  # "mainly skewed left"
    assert people["diagnosis"].value_counts().to_dict() == paper["diagnoses"]


def test_ages_differ_between_groups_as_printed():
    people = composition(654)
    als, mimic = (people.loc[people["group"] == g, "age"] for g in ("ALS", "mimic"))
    # Table 2 prints 0.11.
    assert round(stats.ks_2samp(als, mimic).statistic, 2) == 0.11


def test_hirayama_disease_is_one_of_young_men():
    people = composition(654)
    hirayama = people[people["diagnosis"].str.contains("Hirayama")]
    others = people[(people["group"] == "mimic") & ~people["diagnosis"].str.contains("Hirayama")]
    assert hirayama["age"].max() <= others["age"].min()
    assert (hirayama["sex"] == "M").sum() == 9  # nine to one, doi:10.3109/21678421.2014.903976


def test_noise_in_air_is_rician():
    head = simulate_head(seed=4, age=60, sex="F", voxel_mm=4)
    above = head.data[:4, :, -8:].ravel().astype(float)  # a corner of air, about 1900 voxels
    # Without signal, Rician noise is Rayleigh: mean / sd = sqrt(pi / (4 - pi)) = 1.913. The
    # standard error of the ratio at n = 1900 is about 0.035; three of them.
    assert above.mean() / above.std() == pytest.approx(1.913, abs=0.105)
    # Rayleigh's mean is sigma sqrt(pi / 2); standard error 0.012 relative, three of them.
    assert above.mean() == pytest.approx(head.truth["noise_sd"] * np.sqrt(np.pi / 2), rel=0.04)


def test_intracranial_volumes_are_the_literatures():
    volumes = {
        sex: [
            simulate_head(seed=s, age=50, sex=sex, voxel_mm=4).truth["brain_ml"] for s in range(10)
        ]
        for sex in "FM"
    }
    # Matsumae et al. 1996: 1289 +- 111 ml and 1469 +- 102 ml; standard error of ten 35 ml.
    # The same ten seeds are used for both, so their difference is sharper.
    assert np.mean(volumes["F"]) == pytest.approx(1289, abs=105)
    assert np.mean(volumes["M"]) == pytest.approx(1469, abs=105)
    assert np.mean(volumes["M"]) - np.mean(volumes["F"]) == pytest.approx(180, abs=20)


def test_ventricles_grow_as_in_the_literature():
    def mean_ml(age):
        return np.mean(
            [
                simulate_head(seed=s, age=age, sex="FM"[s % 2], voxel_mm=4).truth["ventricle_ml"]
                for s in range(10)
            ]
        )

    young, middle = mean_ml(25), mean_ml(45)
    # doi:10.1016/j.neulet.2005.10.066: 16.2 ml in the twenties, 24.9 ml in the forties, with the
    # fourth ventricle and the temporal horns, which the template's map lacks: the level is only
    # right within 40 %. The ratio has the same ten people twice; 10 % allows for the map's edge.
    assert young == pytest.approx(16.2, rel=0.4)
    assert middle / young == pytest.approx(24.9 / 16.2, rel=0.1)


def test_deepbrain_finds_the_true_brain():
    dice = []
    for seed, age, sex in [(1, 25, "F"), (2, 50, "M"), (3, 65, "F"), (5, 80, "M")]:
        head = simulate_head(seed=seed, age=age, sex=sex)
        scan = Scan(f"seed-{seed}", Path("none"), head.data.astype(np.float32), head.affine)
        found = brain_mask(scan, method="deepbrain").mask
        both = (found & head.brain_mask).sum()
        dice.append(2 * both / (found.sum() + head.brain_mask.sum()))
    # The published network reaches 0.94 on a real head (Colin27); simulated heads must not be
    # harder than that for it, on average.
    assert np.mean(dice) >= 0.94
    assert min(dice) >= 0.90
