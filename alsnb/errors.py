"""Errors that say what was found, what was expected and what to do.

Every error that a user's data or parameters can cause is one of these, so that a
caller can tell "this scan can't be used" from a defect of the program.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


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
        Code of `alsnb.exclusions.REASONS`, by which exclusion tables group: ``"unreadable"``.
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


class StorageError(AlsnbError):
    """What was computed can't be written: a full disk, a read-only folder, no right to write.

    No scan is to blame, so nobody is left out for it: the run stops and goes on later.
    """


#: What no reading can raise: a full disk, a full quota, a file too large, a read-only disk.
WRITING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


@contextmanager
def storing(path: object, *, everything: bool = False) -> Iterator[None]:
    """Turn what the system says of a failed writing into a :class:`StorageError`.

    Parameters
    ----------
    path : str or os.PathLike
        Where is being written, for the message.
    everything : bool, default False
        Take every ``OSError``; otherwise those alone that no reading raises.

    Yields
    ------
    None

    Raises
    ------
    StorageError
        Saying what to do.
    """
    try:
        yield
    except OSError as error:
        if not everything and error.errno not in WRITING:
            raise
        why = error.strerror or str(error)
        raise StorageError(
            f"{path} can't be written ({why}); make room or choose a folder that may be written "
            "to (--name), then give the same command: it goes on from here"
        ) from error


class LeakageError(AlsnbError):
    """Something fitted would see rows that it must not see."""


def _scan_error(cls, reason, detail, subject, path):
    return cls(reason, detail, subject=subject, path=path)
