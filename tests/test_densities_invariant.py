"""Invariants: a density drawn of people depends on no single one of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from alsnb import densities, figures

rng = np.random.default_rng(5)


def of(values, **how):
    found = densities.of_runs(np.asarray(values, float), **how)
    assert found is not None
    return found


@pytest.mark.parametrize("n", [2, 9, 10, 21, 40, 500])
def test_it_is_a_density_of_the_same_mean(n):
    values = rng.gamma(3, 5, n)
    found = of(values)
    low, high = found.ends
    grid = np.linspace(low - (high - low), high + (high - low), 20001)
    assert integrate.simpson(found(grid), x=grid) == pytest.approx(1, abs=1e-6)
    assert integrate.simpson(grid * found(grid), x=grid) == pytest.approx(values.mean(), rel=1e-6)
    # The integral of the density, to the error of the trapezoid rule on this grid.
    steps = integrate.cumulative_trapezoid(found(grid), grid, initial=0)
    np.testing.assert_allclose(found.up_to(grid), steps, atol=1e-5)


def test_nobody_can_be_read_from_few():
    """Nine people: whoever stands apart may be one or two, where mean and spread are the same."""
    apart = np.array([24, 25, 25, 26, 27, 28, 29, 30, 44.0])
    other = -apart  # the mirror image has one on the left
    other = (other - other.mean()) / other.std() * apart.std() + apart.mean()
    grid = np.linspace(0, 80, 200)
    np.testing.assert_allclose(of(apart)(grid), of(other)(grid), rtol=1e-9)
    assert of(apart).ends == pytest.approx(of(other).ends)


def test_a_run_is_known_by_its_mean_and_spread_alone():
    values = np.sort(rng.normal(50, 10, 40))
    top = values[30:]
    swapped = np.r_[values[:30], 2 * top.mean() - top]  # mirrored about its mean
    assert swapped[30:].min() > values[29] - 5
    grid = np.linspace(0, 100, 200)
    if np.array_equal(np.sort(swapped)[:30], values[:30]):
        np.testing.assert_allclose(of(swapped)(grid), of(values)(grid), rtol=1e-9)
    assert len(of(values).means) == 4
    assert len(of(values, fewest=20).means) == 2


def test_many_people_are_drawn_as_a_kernel_estimate_would():
    from scipy.stats import gaussian_kde

    values = np.r_[rng.normal(40, 4, 400), rng.normal(70, 4, 400)]
    grid = np.linspace(20, 90, 200)
    kernel = gaussian_kde(values)(grid)
    # Both are estimates: apart by less than what sampling does to either.
    assert np.abs(of(values)(grid) - kernel).max() < 0.1 * kernel.max()


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0]])
def test_what_has_no_spread_has_no_density(values):
    assert densities.of_runs(np.array(values)) is None


def test_small_groups_are_drawn_without_a_mark_for_each():
    table = pd.DataFrame(
        {"x_1": rng.normal(size=30), "x_2": rng.normal(size=30),
         "label": [1] * 21 + [0] * 9, "group": ["a"] * 21 + ["b"] * 9}
    )  # fmt: skip
    figure = figures.embedding_projection(table)
    drawn = [len(line.get_xdata()) for line in figure.axes[0].lines]
    assert drawn == [1, 1]  # the means
    plt.close(figure)


def test_figures_of_few_people_show_none_of_them():
    """The mirror image of nine people, whose oldest is then somebody else, gives the same lines."""
    nine = np.array([24, 25, 25, 26, 27, 28, 29, 30, 44.0])
    many = rng.normal(40, 8, 21)
    drawn = []
    for own in (nine, 2 * nine.mean() - nine):
        table = pd.DataFrame(
            {"age": np.r_[many, own], "label": [1] * 21 + [0] * 9, "group": ["a"] * 21 + ["b"] * 9}
        ).assign(volume_ml=lambda t: t["age"], flag=False)
        made = (
            figures.age_distribution(table, smooth=True),
            figures.mask_quality(table, smooth=True),
        )
        drawn.append([line.get_xydata() for f in made for ax in f.axes for line in ax.lines])
        for figure in made:
            plt.close(figure)
    assert len(drawn[0]) == 8
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
