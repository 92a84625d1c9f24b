"""What must hold for any simulated head: effects do what they say and nothing else."""

from itertools import pairwise

import numpy as np
import pytest

from alsnb.simulation import simulate_head

PERSON = {"seed": 11, "age": 62, "sex": "M", "voxel_mm": 4}


@pytest.fixture(scope="module")
def healthy():
    return simulate_head(**PERSON)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("name", ["precentral", "cortical"])
def test_the_fraction_asked_for_is_lost_and_becomes_fluid(healthy, name, fraction):
    head = simulate_head(**PERSON, **{f"{name}_loss": fraction})
    ml = 4**3 / 1000
    lost = (healthy.grey - head.grey).sum(dtype=float) * ml
    # float32 sums and 30 bisections (2e-9): 1e-4 relative is far above both.
    assert head.truth[f"{name}_lost_fraction"] == pytest.approx(fraction, rel=1e-4)
    assert lost == pytest.approx(fraction * head.truth[f"{name}_grey_ml"], rel=1e-3)
    assert (head.fluid - healthy.fluid).sum(dtype=float) * ml == pytest.approx(lost, rel=1e-2)
    assert head.effect.sum(dtype=float) * ml == pytest.approx(lost, rel=1e-3)
    assert np.array_equal(head.white, healthy.white)
    assert np.array_equal(head.brain_mask, healthy.brain_mask)


def test_precentral_loss_stays_in_the_motor_strip(healthy):
    head = simulate_head(**PERSON, precentral_loss=0.5)
    where = np.argwhere(head.effect > 0.05) @ head.affine[:3, :3].T + head.affine[:3, 3]
    # Motor areas in MNI mm span x -52..54, y -25..4, z 8..73 (Brainnetome); this head is about
    # 0.92 of that, plus the tube's 10 mm, deformation (about 6 mm) and half a voxel.
    assert np.all(where.min(0) > [-72, -50, -18])
    assert np.all(where.max(0) < [72, 28, 92])
    assert (where[:, 0] < -20).any()  # both sides
    assert (where[:, 0] > 20).any()
    elsewhere = head.effect == 0
    assert np.abs(head.data[elsewhere].astype(int) - healthy.data[elsewhere]).max() == 0


def test_tract_change_dims_white_matter_along_the_tract_only(healthy):
    head = simulate_head(**PERSON, cst_signal_change=0.3)
    assert head.truth["tract_signal_lost_fraction"] == pytest.approx(0.3, rel=1e-6)
    assert np.array_equal(head.grey, healthy.grey)
    changed = head.effect > 0
    assert np.array_equal(head.data[~changed], healthy.data[~changed])
    deep = head.effect > 0.25  # nearly pure tract: loses close to 30 % of its signal
    ratio = head.data[deep].mean() / healthy.data[deep].mean()
    assert ratio == pytest.approx(0.7, abs=0.04)  # partial volume with grey matter and fluid


def test_zero_effects_leave_the_image_identical(healthy):
    same = simulate_head(
        **PERSON, precentral_loss=0.0, cst_signal_change=0.0, cortical_loss=0.0, alzheimer=0.0
    )
    assert np.array_equal(same.data, healthy.data)
    assert not healthy.effect.any()


def test_larger_effects_lose_more_in_every_voxel():
    small, large = (simulate_head(**PERSON, precentral_loss=f) for f in (0.2, 0.4))
    assert np.all(large.effect >= small.effect - 1e-6)


def test_ageing_widens_ventricles_and_thins_cortex():
    heads = [
        simulate_head(seed=3, age=age, sex="F", voxel_mm=4).truth for age in (20, 35, 50, 65, 80)
    ]
    ventricles = [t["ventricle_ml"] for t in heads]
    cortex = [t["cortical_grey_ml"] for t in heads]
    assert all(a < b for a, b in pairwise(ventricles))
    assert all(a >= b for a, b in pairwise(cortex))
    # Intracranial volume does not change with age; the wall's shift moves a few edge voxels.
    assert np.ptp([t["brain_ml"] for t in heads]) < 0.01 * heads[0]["brain_ml"]


def test_alzheimer_severity_is_graded_and_strongest_in_the_medial_temporal_lobe():
    person = {"seed": 8, "age": 75, "sex": "F", "voxel_mm": 4}
    none, half, full = (simulate_head(**person, alzheimer=a) for a in (0, 0.5, 1))
    assert none.truth["grey_ml"] > half.truth["grey_ml"] > full.truth["grey_ml"]
    assert none.truth["ventricle_ml"] < half.truth["ventricle_ml"] < full.truth["ventricle_ml"]

    def kept(centre, radius=12):
        i, j, k = np.indices(none.grey.shape)
        x, y, z = (none.affine[a, a] * n + none.affine[a, 3] for a, n in enumerate((i, j, k)))
        ball = (np.abs(x) - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
        inside = ball < radius**2
        return full.grey[inside].sum() / none.grey[inside].sum()

    assert kept((22, -14, -16)) < kept((40, 40, 15)) - 0.05  # hippocampus, frontal cortex


def test_one_person_at_any_voxel_size():
    coarse, fine = (
        simulate_head(seed=5, age=58, sex="M", voxel_mm=v, precentral_loss=0.3).truth
        for v in (4, 2)
    )
    for name in ("head_scale", "ageing_loss", "ventricle_ratio", "noise_sd"):
        assert coarse[name] == fine[name]
    # Sums over 64 mm3 and 8 mm3 voxels of the same maps, smoothed to the voxel.
    for name in ("brain_ml", "grey_ml", "white_ml", "precentral_grey_ml", "precentral_lost_ml"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.03), name


def test_the_head_is_built_like_a_head():
    head = simulate_head(**{**PERSON, "voxel_mm": 2})  # 3 mm of fat don't fill a 4 mm voxel
    data, mask = head.data, head.brain_mask
    white, grey = head.white > 0.9, head.grey > 0.9
    air = data[:6, :, -12:]
    assert data[white].mean() > 1.25 * data[grey].mean() > 5 * air.mean()
    assert mask.any()
    faces = (mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1])
    assert not any(face.any() for face in faces)
    # Skull dark, scalp bright: from the brain outwards along the left-right axis.
    _, j, k = (int(n) for n in np.argwhere(mask).mean(0))
    ray = data[np.flatnonzero(mask[:, j, k]).max() + 1 :, j, k].astype(int)
    assert ray.max() > data[grey].mean()  # 3 mm of fat is 1.5 voxels, so blurred
    assert ray[: ray.argmax()].min() < 0.5 * data[grey].mean()
    assert np.percentile(data[~mask], 99.5) > 1.2 * data[white].mean()
    # Fractions are fractions.
    for part in (head.grey, head.white, head.fluid):
        assert part.min() >= -1e-6
        assert part.max() <= 1 + 1e-5


def test_another_seed_is_another_person(healthy):
    other = simulate_head(**{**PERSON, "seed": 12})
    assert not np.array_equal(other.data, healthy.data)
    assert other.truth["head_scale"] != healthy.truth["head_scale"]
