"""Errors that say what was found, what was expected and what to do.

Every error that a user's data or parameters can cause is one of these, so that a
caller can tell "this scan can't be used" from a defect of the program.
"""

from __future__ import annotations

from collections.abc import Sequence


class AlsnbError(Exception):
    """Base of every error that input, not the program, causes."""


class ParameterError(AlsnbError):
    """A parameter is unknown, of the wrong type or out of range."""


class CohortError(AlsnbError):
    """A cohort as a whole can't be studied (no table, one class, too few subjects).

    Parameters
    ----------
    message : str
        Every problem that stops the cohort.
    report : sequence of str, optional
        Lines about single subjects that were found on the way, for ``alsnb check``.
    """

    def __init__(self, message: str, report: Sequence[str] = ()):
        super().__init__(message)
        self.report = list(report)


class ScanError(AlsnbError):
    """One scan, mask or weight file can't be used.

    Parameters
    ----------
    reason : str
        Short code that exclusion tables group by, for instance ``"unreadable"``.
    message : str
        What was found, what was expected, what to do.
    subject : str, default ""
        The BIDS subject, ``sub-01``.
    path : str or os.PathLike, default ""
        The file the message is about.
    """

    def __init__(self, reason: str, message: str, *, subject: str = "", path: object = ""):
        self.reason = reason
        self.detail = message
        self.subject = subject
        self.path = str(path)
        where = ": ".join(part for part in (subject, self.path) if part)
        super().__init__(f"{where}: {message}" if where else message)

    def __reduce__(self):
        # Keyword-only arguments survive the trip between joblib workers only this way.
        return _scan_error, (type(self), self.reason, self.detail, self.subject, self.path)


class MaskError(ScanError):
    """A brain mask is missing, empty or does not fit its scan."""


class LeakageError(AlsnbError):
    """Something fitted would see rows that it must not see."""


def _scan_error(cls, reason, detail, subject, path):
    return cls(reason, detail, subject=subject, path=path)
