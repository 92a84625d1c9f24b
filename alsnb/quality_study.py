"""Quality of every scan of a cohort, who is flagged, and what it does to leave them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alsnb import disclosure, features
from alsnb.errors import CohortError
from alsnb.features import FeatureTable
from alsnb.primary_test import primary_test
from alsnb.quality_flags import METRICS, Flagged, flags

if TYPE_CHECKING:
    from alsnb.study import Study

#: Reason code of those left out for their quality.
REASON = "flagged"
#: A mean overlap below this is worth a word. On two real heads the methods overlap by 0.95.
AGREE = 0.9

#: Share of false finds that is allowed among numbers that are said to differ.
LEVEL = 0.05


@dataclass(frozen=True)
class Quality:
    """Quality numbers of a cohort and what stands out.

    Attributes
    ----------
    numbers : pandas.DataFrame
        Index ``participant_id``: numbers of the mask (:data:`alsnb.brain_mask.QUALITY`) and of
        the scan (:data:`alsnb.image_quality.NUMBERS`), ``centre_offset_mm``, ``method``,
        ``second_method``.
    flagged : alsnb.quality_flags.Flagged
        Who stands out, and why.
    """

    numbers: pd.DataFrame
    flagged: Flagged

    def failures(self) -> pd.DataFrame:
        """List those flagged as left out.

        Returns
        -------
        pandas.DataFrame
            ``participant_id``, ``stage``, ``reason``, ``detail``.
        """
        said = self.flagged.reasons()
        return pd.DataFrame(
            {
                "participant_id": said.index,
                "stage": "quality",
                "reason": REASON,
                "detail": said.to_numpy(),
            }
        )

    def table(self, participants: pd.DataFrame) -> pd.DataFrame:
        """Join the numbers to the participants' groups.

        Parameters
        ----------
        participants : pandas.DataFrame
            ``participant_id``, ``label``, ``group``.

        Returns
        -------
        pandas.DataFrame
            Index ``participant_id``: the numbers, ``label``, ``group``, and ``flag``, what stands
            out, without a number; empty where nothing does.
        """
        people = participants.set_index("participant_id")[["label", "group"]]
        said = self.flagged.kinds().reindex(self.numbers.index).fillna("")
        return self.numbers.drop(columns="flag").join(people).assign(flag=said)

    def mean_numbers(self) -> pd.DataFrame:
        """Give the numbers that are judged, named in words.

        Returns
        -------
        pandas.DataFrame
            Index ``participant_id``.
        """
        shown = [m for m in METRICS if m.name in self.numbers]
        names = {m.name: f"{m.title} ({m.unit})" if m.unit else m.title for m in shown}
        return self.numbers[list(names)].rename(columns=names)


def run(study: Study) -> Quality:
    """Measure the scans of a study that have a mask.

    Parameters
    ----------
    study : alsnb.study.Study
        Its masks, and the parameter `quality_limit`.

    Returns
    -------
    Quality
        Written too: the flags (``qc/flags.parquet``) and who is left out for them
        (``qc/quality_failures.parquet``, empty by default).
    """
    found = measure(study.masks, study.image_quality, study.params.quality_limit)
    qc = study.run_dir / "qc"
    features.write_table(qc / "flags.parquet", found.flagged.table)
    left_out = found.failures()[: None if study.params.exclude_flagged else 0]
    features.write_table(qc / "quality_failures.parquet", left_out)
    return found


def without_flagged(study: Study, table: FeatureTable, name: str) -> FeatureTable:
    """Leave those flagged out of a feature table and of its files.

    Parameters
    ----------
    study : alsnb.study.Study
        Its `quality`.
    table : alsnb.features.FeatureTable
        Of everybody.
    name : str
        Of its files.

    Returns
    -------
    alsnb.features.FeatureTable
        Of the others; who left stands in ``study.failures()``.

    Raises
    ------
    CohortError
        When nobody is left.
    """
    people = study.kept(table.features.index)
    if not len(people):
        raise CohortError("exclude_flagged leaves nobody: every scan is flagged; look at them")
    kept = replace(
        table, features=table.features.loc[people], diagnostics=table.diagnostics.loc[people]
    )
    features.write_table(study.run_dir / "features" / f"{name}.parquet", kept.features)
    features.write_table(study.run_dir / "qc" / f"{name}.parquet", kept.diagnostics)
    return kept


def measure(masks: FeatureTable, scans: FeatureTable, limit: float) -> Quality:
    """Put the numbers of masks and scans together, and flag.

    Parameters
    ----------
    masks, scans : alsnb.features.FeatureTable
        From the extractors of masks and of image quality.
    limit : float
        Of the modified z-score.

    Returns
    -------
    Quality
        A mask whose scan could not be measured is flagged for that.
    """
    own = masks.diagnostics
    centre = own[[f"centre_offset_{axis}_mm" for axis in "xyz"]].astype(float)
    numbers = own.assign(centre_offset_mm=np.linalg.norm(centre, axis=1))
    measured = scans.features.index
    numbers = numbers.loc[measured].join(scans.features).join(scans.diagnostics)
    return Quality(numbers, flags(numbers, limit, list(scans.failures["participant_id"])))


def losses(quality: Quality, participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Count who would stay and who would go, by group.

    Parameters
    ----------
    quality : Quality
        From :func:`measure`.
    participants : pandas.DataFrame
        ``participant_id``, ``group``.
    minimum : int, default 0
        Smallest count to show.

    Returns
    -------
    pandas.DataFrame
        Rows "not flagged" and, where anybody is, "flagged"; a column a group.
    """
    people = participants.set_index("participant_id")["group"]
    everybody = people[people.index.isin([*quality.numbers.index, *quality.flagged.people])]
    state = np.where(everybody.index.isin(quality.flagged.people), "flagged", "not flagged")
    table = pd.crosstab(pd.Series(state, index=everybody.index, name="scan"), everybody)
    rows = ["not flagged", "flagged"] if len(quality.flagged.people) else ["not flagged"]
    table = table.reindex(rows, fill_value=0)
    return disclosure.by_group(table.rename_axis(columns=None), minimum)


def kinds(quality: Quality, participants: pd.DataFrame, minimum: int = 0) -> pd.DataFrame:
    """Count what is said of the flagged, by group; a scan can be flagged for several things.

    Parameters
    ----------
    quality, participants, minimum
        As for :func:`losses`.

    Returns
    -------
    pandas.DataFrame
        Rows what stands out, a column a group; counts below the minimum read "hidden".
    """
    table = quality.flagged.table.drop_duplicates(["participant_id", "kind"])
    groups = participants.set_index("participant_id")["group"]
    names = sorted(groups.unique())
    counted = pd.crosstab(table["kind"], table["participant_id"].map(groups))
    counted = counted.reindex(columns=names, fill_value=0).rename_axis(columns=None)
    counted = counted.loc[counted.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    # Reasons overlap and add up to no public total, so each count stands for itself.
    return counted.astype(object).where(counted >= minimum, disclosure.HIDDEN)


def second_opinion(table: pd.DataFrame, minimum: int = 0) -> str:
    """Say how well the masks agree with those of the second method.

    Parameters
    ----------
    table : pandas.DataFrame
        From :meth:`Quality.table`.
    minimum : int, default 0
        Fewest people that a mean may be given of.

    Returns
    -------
    str
        Markdown.
    """
    own = table.loc[table["second_method"] == "threshold", "agreement"]
    bare = len(table) - len(own)
    parts = []
    if len(own) >= max(minimum, 1):
        spread = f"standard deviation {own.std():.3f}, " if len(own) > 1 else ""
        parts.append(
            f"The second mask overlaps with the first by a mean Dice of {own.mean():.3f} "
            f"({spread}{len(own)} scans)"
            + ("." if own.mean() >= AGREE else ": the two methods disagree, so one is often wrong.")
        )
    elif len(own):
        parts.append(f"Fewer than {minimum} scans have a skull, too few to tell their agreement.")
    if bare:
        hidden = min(bare, len(own)) < minimum and len(own) > 0
        which = "All scans" if not len(own) else "Some scans" if hidden else f"{bare} scans"
        parts.append(
            f"{which} are brain-extracted: the second mask is their non-zero region, and to agree "
            "with it proves nothing about the tool that removed the skull."
        )
    return " ".join(parts)


def flag_story(quality: Quality) -> str:
    """Say how many scans are flagged, and what could not be looked for.

    Parameters
    ----------
    quality : Quality
        From :func:`measure`.

    Returns
    -------
    str
        Markdown.
    """
    n, everybody = len(quality.flagged.people), len(quality.numbers)
    verb = "is" if n == 1 else "are"
    parts = [f"{n} of {everybody} scans {verb} flagged." if n else "No scan is flagged."]
    if quality.flagged.joint:
        titles = {m.name: m.title for m in METRICS}
        parts.append(f"Judged together: {', '.join(titles[c] for c in quality.flagged.joint)}.")
    parts += [f"{note[0].upper()}{note[1:]}." for note in quality.flagged.notes]
    return " ".join(parts)


def group_story(tests: pd.DataFrame, groups: Sequence[str]) -> str:
    """Say which numbers of quality differ between the groups.

    Parameters
    ----------
    tests : pandas.DataFrame
        From :func:`alsnb.group_statistics.differences`.
    groups : sequence of str
        The positive and the negative class, as shown.

    Returns
    -------
    str
        Markdown.
    """
    known = tests["q"].dropna()
    if known.empty:
        return "The groups are too small to compare the quality of their scans."
    differing = tests[tests["q"] < LEVEL].sort_values("q")
    if differing.empty:
        return (
            f"None of {len(known)} numbers of quality differs between the groups "
            f"(false discovery rate {100 * LEVEL:g} %; smallest *q* = {known.min():.2g})."
        )
    said = "; ".join(
        f"{name}, more in {groups[0] if row['difference'] > 0 else groups[1]} "
        f"(*q* = {row['q']:.2g})"
        for name, row in differing.iterrows()
    )
    return (
        f"{len(differing)} of {len(known)} numbers of quality "
        f"{'differs' if len(differing) == 1 else 'differ'} between the groups "
        f"(false discovery rate {100 * LEVEL:g} %): {said}. That can tell the groups apart "
        "without any disease; the chapter on confounds asks whether the models use it."
    )


def drawn_story(quality: Quality, drawn: Sequence[str], *, hidden: bool) -> str:
    """List why each scan that is drawn is flagged.

    Parameters
    ----------
    quality : Quality
        From :func:`measure`.
    drawn : sequence of str
        ``participant_id`` of each, which is not told.
    hidden : bool
        Leave out numbers, which are one person's.

    Returns
    -------
    str
        Markdown, a numbered list.
    """
    said = quality.flagged.kinds() if hidden else quality.flagged.reasons()
    lines = [f"{i}. {said[s][0].upper()}{said[s][1:]}." for i, s in enumerate(drawn, 1)]
    more = len(quality.flagged.people) - len(drawn)
    lines += [f"\n{more} more are flagged and not drawn."] if more else []
    return "\n".join(lines)


def comparison_story(table: pd.DataFrame, *, excluded: bool) -> str:
    """Say what leaving out those flagged does to the declared test.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare`.
    excluded : bool
        Whether this run leaves them out.

    Returns
    -------
    str
        Markdown.
    """
    if len(table) < 2:
        return "Nobody with features is flagged, so there is nothing to compare."
    does = "leaves them out" if excluded else "keeps them"
    head = f"This run {does} (`exclude_flagged` is {str(excluded).lower()})."
    first, second = table.iloc[0], table.iloc[1]
    if np.isnan(second["auc"]):
        return f"{head} Without them the test can't be run: {second['note']}."
    change = float(second["auc"] - first["auc"])
    half = float(first["upper"] - first["lower"]) / 2
    size = "within" if abs(change) <= half else "beyond"
    same = (first["p"] < 0.05) == (second["p"] < 0.05)
    said = "stays the same" if same else "changes"
    moved = f"{change:+.2f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"{head} Without them the AUC changes by {moved}, {size} half the width of its interval "
        f"({half:.2f}); whether *p* is below 0.05 {said}."
    )


def compare(
    table: pd.DataFrame,
    labels: pd.Series,
    without: pd.Index,
    *,
    seed: int,
    n_permutations: int,
    n_folds: int,
    name: str,
) -> pd.DataFrame:
    """Run the declared test on everybody and without those flagged.

    Parameters
    ----------
    table : pandas.DataFrame
        Features of everybody, index ``participant_id``.
    labels : pandas.Series
        1 positive, by ``participant_id``.
    without : pandas.Index
        Those flagged.
    seed, n_permutations, n_folds : int
        Of :func:`alsnb.primary_test.primary_test`.
    name : str
        Of the representation.

    Returns
    -------
    pandas.DataFrame
        Two rows: ``scans``, ``n_positive``, ``n_negative``, ``auc``, ``lower``, ``upper``, ``p``,
        ``note`` (why a test could not be run). The second row is missing where nobody in
        `table` is flagged.
    """
    sets = {"all": table.index}
    if len(kept := table.index[~table.index.isin(without)]) < len(table):
        sets["without those flagged"] = kept
    rows = []
    for title, people in sets.items():
        y = labels.loc[people]
        row = {"scans": title, "n_positive": int(y.sum()), "n_negative": int((1 - y).sum())}
        numbers = dict.fromkeys(("auc", "lower", "upper", "p"), float("nan"))
        note = ""
        try:
            test = primary_test(
                table.loc[people], y, seed=seed, n_permutations=n_permutations,
                n_folds=n_folds, representation=name,
            )  # fmt: skip
            numbers = {k: getattr(test, k) for k in numbers}
        except CohortError as error:
            note = str(error)
        rows.append(row | numbers | {"note": note})
    return pd.DataFrame(rows)
