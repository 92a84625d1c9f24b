"""Invariant: reasons come from one closed list, and the flow diagram's counts add up."""

import ast

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from alsnb.errors import AlsnbError
from alsnb.exclusions import REASONS, flow
from alsnb.flow_figure import flow_diagram

NAMES = ("mimic", "ALS")


def codes_of(path):
    """Codes that a module gives as reasons, read from its source."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = {"ScanError": 0, "MaskError": 0, "exclude": 1}.get(name)
            if place is not None and len(node.args) > place:
                given = node.args[place]
                either = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
                yield from (part.value for part in either if isinstance(part, ast.Constant))
        if isinstance(node, ast.Dict) and path.stem == "features":
            for key, value in zip(node.keys, node.values, strict=True):
                if getattr(key, "value", "") == "reason" and isinstance(value, ast.Constant):
                    yield value.value


def test_every_code_in_the_package_is_of_the_list():
    used = {c for path in (ROOT / "alsnb").glob("*.py") for c in codes_of(path)}
    assert used - set(REASONS) == set()
    # The scan reads what it should: most of the list is given by a literal.
    assert len(used) > 0.8 * len(REASONS)
    assert all(r.shown and r.remedy for r in REASONS.values())


def people(seed, n=60):
    """A cohort, exclusions before it and losses after it, at random."""
    rng = np.random.default_rng(seed)
    ids = [f"sub-{i:03d}" for i in range(n)]
    labels = pd.Series(rng.integers(0, 2, n), index=ids)
    out = rng.random(n) < 0.2
    cohort = pd.DataFrame(
        {
            "participant_id": [s for s, o in zip(ids, out, strict=True) if not o],
            "label": labels[~out].to_numpy(),
            "t1w": ["" if v < 0.1 else "x.nii" for v in rng.random((~out).sum())],
        }
    )
    codes = np.array(["unreadable", "group", "affine"])
    excluded = pd.DataFrame(
        {
            "participant_id": labels.index[out],
            "reason": codes[rng.integers(0, 3, out.sum())],
            "label": labels[out].astype("Int64").where(rng.random(out.sum()) > 0.3).to_numpy(),
        }
    )
    losses = {
        step: pd.DataFrame(
            {"participant_id": cohort["participant_id"][rng.random(len(cohort)) < 0.2]}
        ).assign(reason=reason)
        for step, reason in (("brain mask", "mask_empty"), ("radiomics", "radiomics_mask"))
    }
    return cohort, excluded, losses


@pytest.mark.parametrize("seed", range(20))
def test_counts_add_up_at_every_step_and_by_group(seed):
    cohort, excluded, losses = people(seed)
    table = flow(cohort, excluded, losses, NAMES)
    numbers = ["people", "positive", "negative", "unknown"]
    left = table[table["kind"] == "left"].set_index("step")[numbers]
    out = table[table["kind"] == "out"]
    assert left.loc["enrolled", "people"] == 60
    assert (left.iloc[0] - left.iloc[-1] == out[numbers].sum()).all()
    assert (table["people"] == table[["positive", "negative", "unknown"]].sum(axis=1)).all()
    # each step alone; those left out of the table stand with "enrolled"
    steps = list(left.index)
    for before, after in zip(steps, steps[1:], strict=False):
        lost = out[out["step"] == ("enrolled" if after == "cohort" else after)]
        assert (left.loc[before] - left.loc[after] == lost[numbers].sum()).all()
    lost_ids = {s for t in losses.values() for s in t["participant_id"]}
    lost_ids |= set(cohort.loc[cohort["t1w"] == "", "participant_id"])
    assert left.iloc[-1]["people"] == len(cohort) - len(lost_ids)


def test_the_diagram_says_every_count_and_no_name():
    cohort, excluded, losses = people(3)
    figure = flow_diagram(flow(cohort, excluded, losses, NAMES))
    text = " ".join(t.get_text() for t in figure.axes[0].texts) + figure.get_label()
    assert "(n = 60)" in text
    assert "Analysed" in text
    assert "sub-" not in text
    for reason in {*excluded["reason"], "mask_empty", "missing_scan"}:
        assert REASONS[reason].shown in text


def test_every_line_stays_within_its_box():
    cohort, excluded, losses = people(3)
    counts = flow(cohort, excluded, losses, NAMES)
    # As wide as a cohort of 50,000 makes it.
    wide = counts.assign(**{c: 20_000 + counts[c] for c in ("people", "positive", "negative")})
    wide.attrs = counts.attrs
    figure = flow_diagram(wide)
    figure.canvas.draw()
    ax = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in ax.patches]
    for text in (t for t in ax.texts if t.get_text()):
        own = text.get_window_extent()
        home = [b for b in boxes if b.x0 <= own.x0 <= b.x1 and b.y0 <= own.y0 <= b.y1]
        assert any(own.x1 <= b.x1 for b in home), text.get_text()


def test_counts_that_can_not_be_are_refused():
    cohort, excluded, losses = people(1)
    with pytest.raises(AlsnbError, match="both in the cohort"):
        flow(cohort, pd.concat([excluded, cohort.assign(reason="group")]), losses, NAMES)
    stranger = pd.DataFrame({"participant_id": ["sub-x"], "reason": ["mask_empty"]})
    with pytest.raises(AlsnbError, match="not in the cohort"):
        flow(cohort, excluded, {"brain mask": stranger}, NAMES)
    with pytest.raises(AlsnbError, match="no reason of the list"):
        flow(cohort, excluded.assign(reason="whatever"), {}, NAMES)
