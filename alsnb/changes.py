"""What changed since a stage was last asked for: why it has something to compute.

A store keeps, beside the records of each extractor, what it was last asked with: settings,
code, and the bytes of each subject's files. It explains; it decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alsnb.fingerprints import code_of, fingerprint

#: Differences named before the rest is only counted.
_MOST = 4
#: Stands for the hash of a file that was written since it was last read.
UNREAD = ""


@dataclass
class Asked:
    """What an extractor was asked for.

    Attributes
    ----------
    parameters : dict
        The run's parameters behind the settings, by their names; may be empty.
    settings : dict
        The extractor's settings.
    code : dict of str to str
        Module or package to the hash of its source or its version.
    inputs : dict of str to list of str
        Subject to the hashes of the files that decide its result.
    failures : dict of str to list of str
        Subject to reason and detail.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    @property
    def same_for_all(self) -> str:
        """Hash of what holds for every subject."""
        return fingerprint(self.settings, self.code)


def asked(parameters: Mapping[str, Any], settings: Mapping[str, Any], modules: Sequence[str]):
    """Describe a question before its files are known.

    Parameters
    ----------
    parameters : mapping
        Name to value; explains a changed setting in the user's words.
    settings : mapping
        The extractor's.
    modules : sequence of str
        Import names of what decides the values.

    Returns
    -------
    Asked
        Without inputs.
    """
    code = {m: v if len(v := code_of(m)) < 32 else fingerprint(v)[:16] for m in modules}
    plain = json.loads(json.dumps([dict(parameters), dict(settings)], default=str))
    return Asked(plain[0], plain[1], code)


def last(path: Path) -> Asked | None:
    """Read what an extractor was asked for last.

    Parameters
    ----------
    path : pathlib.Path
        The file in the store.

    Returns
    -------
    Asked or None
        None when never, or where it can't be read: it only explains.
    """
    try:
        found = Asked(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if all(isinstance(part, dict) for part in vars(found).values()) else None


def written(question: Asked) -> str:
    """Give the text that :func:`last` reads, without files that were not read.

    Parameters
    ----------
    question : Asked
        The question.

    Returns
    -------
    str
        JSON.
    """
    plain = asdict(question)
    plain["inputs"] = {s: [h for h in files if h != UNREAD] for s, files in plain["inputs"].items()}
    return json.dumps(plain, sort_keys=True)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the values that differ, down to the innermost.

    Parameters
    ----------
    old, new : mapping
        Plain values, mappings in mappings too.

    Returns
    -------
    list of str
        ``"a.b 32 -> 64"``.
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    names = dict.fromkeys([*before, *after])
    missing = "absent"
    return [
        f"{n} {before.get(n, missing)} -> {after.get(n, missing)}"
        for n in names
        if before.get(n, missing) != after.get(n, missing)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def why(subjects: Sequence[str], old: Asked | None, new: Asked) -> str:
    """Say why subjects have to be computed.

    Parameters
    ----------
    subjects : sequence of str
        Those without a record.
    old : Asked or None
        What was asked last.
    new : Asked
        What is asked now; :data:`UNREAD` among its inputs where only reading could tell.

    Returns
    -------
    str
        Reasons, separated by semicolons.
    """
    if old is None:
        return "the first time"
    if old.same_for_all != new.same_for_all:
        reasons = differences(old.settings, new.settings)
        if reasons:  # in the user's words where there are some
            reasons = differences(old.parameters, new.parameters) or reasons
        code = [
            f"{m} {old.code.get(m, 'absent')} -> {v}" if len(v) < 16 else f"code of {m} changed"
            for m, v in new.code.items()
            if old.code.get(m) != v
        ]
        return listed(reasons + code)
    groups: dict[str, int] = {}
    for subject in subjects:
        if subject not in old.inputs:
            reason = "new"
        elif subject in old.failures:
            reason = f"failed last time ({old.failures[subject][0]})"
        elif old.inputs[subject] and UNREAD in new.inputs.get(subject, []):
            reason = "with files written since, to be computed where bytes differ"
        elif old.inputs[subject] and new.inputs.get(subject) != old.inputs[subject]:
            reason = "with changed files"
        else:
            reason = "not finished last time"
        groups[reason] = groups.get(reason, 0) + 1
    return listed([f"{n} {reason}" for reason, n in groups.items()])


def listed(reasons: Sequence[str], between: str = "; ") -> str:
    """Join reasons, the first few in full.

    Parameters
    ----------
    reasons : sequence of str
        Any number.
    between : str, default "; "
        What separates them.

    Returns
    -------
    str
        ``"a; b; c; d; 3 more"``.
    """
    more = [f"{len(reasons) - _MOST} more"] if len(reasons) > _MOST else []
    return between.join([*reasons[:_MOST], *more])
