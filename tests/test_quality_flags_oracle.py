"""What stands out: against numbers placed at known distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsnb.quality_flags import COMBINATION, METRICS, UNMEASURED, flags, robust_z

VOLUME = next(m for m in METRICS if m.name == "volume_ml")


def people(n):
    return pd.Index([f"sub-{i:03d}" for i in range(n)], name="participant_id")


def table(n, **columns):
    return pd.DataFrame(columns, index=people(n))


def test_the_modified_z_score_is_that_of_the_formula():
    values = pd.Series([1300.0, 1350, 1400, 1450, 1500, 1900])
    # Median 1425; deviations 125, 75, 25, 25, 75, 475, so a MAD of 75.
    z = robust_z(values, VOLUME)
    assert z.iloc[-1] == pytest.approx(0.6745 * 475 / 75)
    assert robust_z(pd.Series([5.0] * 9), VOLUME).eq(0).all()


def test_an_outlier_is_named_with_its_distance_and_the_others_are_not():
    volumes = [1300.0, 1350, 1400, 1450, 1500, 1550, 1600, 1650, 2100]
    found = flags(table(9, volume_ml=volumes))
    # Median 1500, MAD 100: 2100 lies 6 MADs above, z 4.0; the limit is 5.2 MADs.
    assert list(found.people) == ["sub-008"]
    assert found.reasons()["sub-008"] == "volume 2100 ml, 6.0 MADs above the median"
    assert found.kinds()["sub-008"] == "volume high"
    assert not len(flags(table(9, volume_ml=volumes), limit=4.1).table)


def test_only_the_side_that_can_be_bad_counts():
    usual = list(np.linspace(14, 16, 20))
    low, high = (flags(table(21, snr=[*usual, value])) for value in (5.0, 25.0))
    assert list(low.kinds()) == ["signal over noise low"]
    assert not len(high.table)


def test_hard_limits_hold_whatever_the_cohort_and_alone_with_few_scans():
    found = flags(table(3, volume_ml=[2500.0, 2600.0, 1400.0], agreement=[0.95, 0.95, 0.5]))
    assert list(found.people) == ["sub-000", "sub-001", "sub-002"]
    assert found.reasons()["sub-000"] == "volume 2500 ml, above the limit of 2200"
    assert "0.500, below the limit of 0.8" in found.reasons()["sub-002"]
    assert found.notes == [
        "3 scans are too few to say what is usual: only hard limits are looked at"
    ]
    # Of nine the ninth is no outlier of its cohort, but no brain either.
    found = flags(table(9, volume_ml=[600.0] * 9))
    assert len(found.people) == 9


def test_a_tiny_deviation_of_a_near_constant_number_is_none():
    agreement = [0.95] * 20 + [0.94]
    assert not len(flags(table(21, agreement=agreement)).table)
    agreement[-1] = 0.90  # ten times the floor of 0.005
    assert list(flags(table(21, agreement=agreement)).people) == ["sub-020"]


def test_notes_of_the_mask_s_maker_are_kept_and_its_volume_not_said_twice():
    notes = [""] * 9
    notes[2] = "the mask has 2400 ml, an adult brain 800 to 2300 ml; the mask is cut by the field"
    notes[2] += " of view (12 cm²)"
    notes[4] = "something new"
    volumes = [1400.0] * 9
    volumes[2] = 2400
    found = flags(table(9, volume_ml=volumes, flag=notes))
    assert found.kinds().to_dict() == {
        "sub-002": "volume high; cut by the field of view",
        "sub-004": "mask",
    }
    assert "12 cm²" in found.reasons()["sub-002"]


def test_what_could_not_be_measured_is_flagged_and_unknown_values_are_not():
    found = flags(table(9, fber=[np.nan] * 9), unmeasured=["sub-100"])
    assert found.kinds().to_dict() == {"sub-100": UNMEASURED}


def test_an_unusual_combination_of_usual_numbers_is_flagged():
    rng = np.random.default_rng(0)
    n = 120
    volume = rng.normal(1400, 100, n)
    # A second number that follows the first, by a rank correlation of about 0.5
    ratio = (volume - 1400) / 100 * 0.5 + rng.normal(0, 0.85, n)
    values = table(n, volume_ml=volume, centre_offset_mm=10 + 2 * ratio)
    values.iloc[7] = [1400 + 250, 10 - 2 * 3.0]  # 2.5 and 3 sd apart against the correlation
    found = flags(values)
    assert found.joint == ["volume_ml", "centre_offset_mm"]
    row = found.table.set_index("participant_id").loc["sub-007"]
    assert row["kind"] == COMBINATION
    # Mahalanobis distance with r = 0.5: (z1² - 2 r z1 z2 + z2²) / (1 - r²) = 4.8²;
    # the covariance is estimated from the closest half, so to a quarter.
    z1, z2, r = 2.5, -3.0, 0.5
    expected = np.sqrt((z1**2 - 2 * r * z1 * z2 + z2**2) / (1 - r**2))
    assert row["distance"] == pytest.approx(expected, rel=0.25)
    assert "joint distance" in row["reason"]


def test_clean_cohorts_are_hardly_flagged():
    rng = np.random.default_rng(1)
    flagged = 0
    for _ in range(10):
        numbers = rng.normal(size=(120, 4))
        found = flags(
            table(
                120, volume_ml=1400 + 100 * numbers[:, 0], snr=30 + 3 * numbers[:, 1],
                cnr=2.4 + 0.2 * numbers[:, 2], efc=0.5 + 0.05 * numbers[:, 3],
            )
        )  # fmt: skip
        flagged += len(found.people)
    # Beyond 3.5 sd on the sides that count (5 of 8) lie 0.0012 of normal numbers; MAD adds some.
    assert flagged <= 0.006 * 1200


def test_the_order_of_people_and_their_labels_change_nothing():
    rng = np.random.default_rng(2)
    values = table(90, volume_ml=rng.normal(1400, 100, 90), snr=rng.standard_t(2, 90) + 30)
    one = flags(values).reasons()
    turned = flags(values.iloc[::-1]).reasons()
    assert len(one)
    assert one.sort_index().index.equals(turned.sort_index().index)
