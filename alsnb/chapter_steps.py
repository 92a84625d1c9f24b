"""What each chapter does, as a row of steps; names in braces are parameters of the run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from alsnb import diagram
from alsnb.diagram import Step
from alsnb.errors import ParameterError
from alsnb.parameters import Parameters


@dataclass(frozen=True)
class Only:
    """A step that only some runs have.

    Attributes
    ----------
    step : alsnb.diagram.Step
        Which.
    when : dict of str to tuple
        Parameter to the values with which it is there.
    """

    step: Step
    when: dict[str, tuple[Any, ...]] = field(default_factory=dict)


_FOLD = "in each of {n_folds} training folds"
_TRAINING = "in each training fold"
#: Chapter to its steps.
STEPS: dict[str, tuple[Step | Only, ...]] = {
    "01_simulate_cohort": (
        Step("a template's tissue maps", "takes"),
        Step("bend, resize, age: one head a person"),
        Step("in patients, take grey matter and signal away"),
        Step("add skull, scalp, bias field, noise"),
        Step("scans of {voxel_mm:g} mm whose truth is known", "gives"),
    ),
    "02_describe_cohort": (
        Step("a table of people, and their scans", "takes"),
        Step("leave out who can't be used, with the reason"),
        Step("count by group"),
        Step("test sex and age"),
        Step("do the groups differ?", "gives"),
    ),
    "03_measure_intensities": (
        Step("a scan", "takes"),
        Step("drop voxels of value zero"),
        Step("count in bins of {histogram_bin_width:g}, as shares"),
        Step("mean over each group"),
        Step("two histograms, each with its band", "gives"),
    ),
    "04_extract_brain": (
        Step("a scan", "takes"),
        Step("find the brain (mask: {mask})"),
        Step("measure both, beside a second mask"),
        Step("flag what is beyond {quality_limit:g} deviations"),
        Step("a mask, numbers, and a list to look at", "gives"),
    ),
    "05_compute_radiomics": (
        Step("a scan and its brain mask", "takes"),
        Only(Step("z-score the grey values"), {"radiomics_normalize": (True,)}),
        Step("sort them into {radiomics_bin_count} levels"),
        Step("measure shape, first order, texture"),
        Step("features, compared between groups", "gives"),
    ),
    "06_embed_scans": (
        Step("a whole head", "takes"),
        Step("turn to its axis order, shrink, z-score"),
        Step("a network trained on another disease, not changed"),
        Step("take its last two layers"),
        Step("DL7 and DL8 of each scan", "gives"),
    ),
    "07_classify_representations": (
        Step("features of each scan, and the labels", "takes"),
        Only(Step("tune on everybody"), {"protocol": ("published", "released")}),
        Only(Step("tune", inside=_FOLD), {"protocol": ("nested",)}),
        Step("scale, SMOTE, fit", inside=_FOLD),
        Step("predict the people of its test fold"),
        Step("one prediction a person; all scores from these", "gives"),
    ),
    "08_audit_printed_numbers": (
        Step("a number as the paper prints it", "takes"),
        Step("all values that round to it"),
        Step("the same from other printed numbers"),
        Step("do the two ranges meet?"),
        Step("a verdict, and what would settle it", "gives"),
    ),
    "09_compare_text_code": (
        Step("two simulated cohorts: nothing in one, a loss in the other", "takes"),
        Step("the protocol of the text"),
        Step("turn one switch to what the code does"),
        Step("turn them all: the released protocol"),
        Step("how far each score moves", "gives"),
    ),
    "10_compare_scorecard": (
        Step("the paper's number and ours, with its interval", "takes"),
        Step("can the two be compared at all?"),
        Step("a tolerance declared before any run"),
        Step("reproduced, not reproduced, or not comparable", "gives"),
    ),
    "11_evaluate_honestly": (
        Step("features, and labels: true or shuffled", "takes"),
        Step("tune", inside=_FOLD),
        Step("scale, SMOTE, fit", inside=_FOLD),
        Step("predict the people of its test fold"),
        Step("scores beside baselines, intervals, p-values", "gives"),
    ),
    "12_control_findings": (
        Step("cohorts whose truth we know", "takes"),
        Step("draw one, with nothing in it or a known effect"),
        Step("run the declared test and the protocols"),
        Step("count what they find"),
        Step("false alarms, coverage, power", "gives"),
    ),
    "13_vary_choices": (
        Step("features and labels", "takes"),
        Step("every combination of the choices"),
        Step("tune, remedy, fit", inside=_TRAINING),
        Step("score people not seen, put in order"),
        Step("a curve, beside that of shuffled labels", "gives"),
    ),
    "14_weigh_usefulness": (
        Step("features and labels", "takes"),
        Step("fit, with and without SMOTE", inside=_TRAINING),
        Step("turn scores into probabilities", inside=_TRAINING),
        Step("compare with what unseen people have"),
        Step("calibration, net benefit, cost of errors", "gives"),
    ),
    "15_examine_confounds": (
        Step("what else is known of people and scans", "takes"),
        Step("does it tell the label by itself?"),
        Step("do the models' scores follow it?"),
        Step("take it off the features", inside=_TRAINING),
        Step("scores before and after, and within strata", "gives"),
    ),
}


def steps(chapter: str, params: Parameters) -> list[Step]:
    """Give a chapter's steps in one run.

    Parameters
    ----------
    chapter : str
        A notebook's name without ending.
    params : alsnb.parameters.Parameters
        The run's.

    Returns
    -------
    list of alsnb.diagram.Step
        With the run's values in their texts.

    Raises
    ------
    ParameterError
        When no chapter has this name.
    """
    if chapter not in STEPS:
        raise ParameterError(f"no steps are laid down for {chapter!r}; add it to STEPS")
    values = params.model_dump()
    found = []
    for one in STEPS[chapter]:
        if isinstance(one, Only):
            if any(values[name] not in allowed for name, allowed in one.when.items()):
                continue
            one = one.step
        text, inside = one.text.format(**values), one.inside.format(**values)
        found.append(replace(one, text=text, inside=inside))
    return found


def drawing(chapter: str, params: Parameters) -> str:
    """Draw what a chapter does.

    Parameters
    ----------
    chapter : str
        A notebook's name without ending.
    params : alsnb.parameters.Parameters
        The run's.

    Returns
    -------
    str
        HTML.
    """
    return diagram.flow(steps(chapter, params), "What this chapter does")
