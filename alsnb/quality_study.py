"""Quality of every scan of a cohort, who is flagged, and what it does to leave them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alsnb import disclosure, features
from alsnb.errors import CohortError
from alsnb.features import FeatureTable
from alsnb.image_quality import QualityExtractor
from alsnb.primary_test import primary_test
from alsnb.quality_flags import METRICS, Flagged, flags

if TYPE_CHECKING:
    from alsnb.study import Study

#: Reason code of those left out for their quality.
REASON = "flagged"


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
        The flags are also written to ``qc/flags.parquet``.
    """
    extractor: Any = QualityExtractor()
    scans = study.extract(extractor, study.with_masks())
    found = measure(study.masks, scans, study.params.quality_limit)
    features.write_table(study.run_dir / "qc" / "flags.parquet", found.flagged.table)
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
        Rows "not flagged" and "flagged", a column a group.
    """
    people = participants.set_index("participant_id")["group"]
    everybody = people[people.index.isin([*quality.numbers.index, *quality.flagged.people])]
    state = np.where(everybody.index.isin(quality.flagged.people), "flagged", "not flagged")
    table = pd.crosstab(pd.Series(state, index=everybody.index, name="scan"), everybody)
    table = table.reindex(["not flagged", "flagged"], fill_value=0)
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
