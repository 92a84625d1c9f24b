"""What a simulated cohort knows about itself: drawn and realised effects, true masks, maps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from alsnb.cohort import TRUTH
from alsnb.errors import CohortError


def read_truth(root: str | Path) -> pd.DataFrame:
    """Read what was planted in each simulated subject.

    Parameters
    ----------
    root : str or pathlib.Path
        A simulated BIDS folder.

    Returns
    -------
    pandas.DataFrame
        Index ``participant_id``; volumes in ml, fractions, mm.

    Raises
    ------
    CohortError
        When the folder holds no truth.
    """
    path = Path(root) / "derivatives" / TRUTH / "truth.tsv"
    if not path.is_file():
        raise CohortError(f"{path} is missing: {root} is no simulated cohort, or not a whole one")
    return pd.read_csv(path, sep="\t", index_col="participant_id")


def true_files(root: str | Path, kind: str = "brain_mask") -> dict[str, Path]:
    """Find a kind of true map by subject.

    Parameters
    ----------
    root : str or pathlib.Path
        A simulated BIDS folder.
    kind : {"brain_mask", "effect_map"}
        What to find.

    Returns
    -------
    dict
        Subject to path.
    """
    folder = Path(root) / "derivatives" / TRUTH
    return {p.name.split("_")[0]: p for p in sorted(folder.rglob(f"*_desc-{kind}.nii.gz"))}
