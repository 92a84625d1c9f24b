"""Classifiers and representations of one's own, registered by a file that a run names.

A file given by the parameter ``plugins`` decorates functions with :func:`classifier` and
:func:`representation`; from then on their names stand wherever ``classifiers`` and
``representations`` are asked for. Nothing can leak through them: a representation is given one
scan at a time and no label, and an estimator is the last step of the pipeline that every
protocol fits on training folds alone, behind scaling and SMOTE.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import linecache
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsnb import published
from alsnb.errors import AlsnbError, ParameterError

#: Labels of all classifiers that can be asked for: the paper's eight, then one's own.
CLASSIFIERS: dict[str, str] = dict(published.CLASSIFIER_LABELS)
#: Labels of all representations that can be asked for: the paper's three, then one's own.
REPRESENTATIONS: dict[str, str] = dict(published.REPRESENTATION_LABELS)
#: What a name of one's own looks like: it names files and columns too.
NAME = re.compile(r"[a-z][a-z0-9_]{1,29}")
#: Names that mean something else in a run folder.
_TAKEN = frozenset(
    (*CLASSIFIERS, *REPRESENTATIONS, "baseline", "always_positive", "prevalence_random", "age_sex",
     "brain_volume", "ridge", "embeddings", "intensity", "brain_mask", "image_quality", "quality",
     "flags", "exclusions", "all_exclusions", "all")
)  # fmt: skip


class PluginError(ParameterError):
    """A file of ``plugins``, or something that it registers, can't be used."""


@dataclass(frozen=True)
class Source:
    """A plugin file as it was read; sent to workers, which need not see the file.

    Attributes
    ----------
    path : str
        Where it was read.
    text : str
        Its Python.
    """

    path: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, 64 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class OwnClassifier:
    """A registered classifier.

    Attributes
    ----------
    build : callable
        Seed to an unfitted estimator.
    grid : dict of str to tuple of float
        Candidates by parameter of the estimator; empty: nothing is tuned.
    source : Source
        The file that registered it.
    """

    build: Callable[[int], Any]
    grid: dict[str, tuple[float, ...]]
    source: Source


@dataclass(frozen=True)
class OwnRepresentation:
    """A registered representation.

    Attributes
    ----------
    extract : callable
        A scan and its brain mask to named numbers.
    source : Source
        The file that registered it.
    """

    extract: Callable[..., Mapping[str, float]]
    source: Source


_classifiers: dict[str, OwnClassifier] = {}
_representations: dict[str, OwnRepresentation] = {}
_loaded: dict[str, Source] = {}
_loading: Source | None = None


def classifier(
    name: str, *, label: str = "", grid: Mapping[str, Sequence[float]] | None = None
) -> Callable[[Callable[[int], Any]], Callable[[int], Any]]:
    """Register a function that builds an estimator, as a classifier.

    Parameters
    ----------
    name : str
        For the parameter ``classifiers``: small letters, digits and underscores.
    label : str, optional
        What tables and figures show; default: the name.
    grid : mapping of str to sequence of numbers, optional
        Candidates by parameter of the estimator, tuned as the protocol tunes all others.

    Returns
    -------
    callable
        Decorator of a function of the run's seed that returns an unfitted scikit-learn
        classifier with ``decision_function`` or ``predict_proba``.

    Raises
    ------
    PluginError
        When the name is taken, or the estimator or its grid can't be used.
    """

    def register(build: Callable[[int], Any]) -> Callable[[int], Any]:
        source = _checked(name, _classifiers, "classifier")
        made = build(0)
        _check_estimator(name, made, source)
        _check_grid(name, made, grid or {}, source)
        candidates = {key: tuple(values) for key, values in (grid or {}).items()}
        _classifiers[name] = OwnClassifier(build, candidates, source)
        CLASSIFIERS[name] = label or name
        return build

    return register


def representation(
    name: str, *, label: str = ""
) -> Callable[[Callable[..., Mapping[str, float]]], Callable[..., Mapping[str, float]]]:
    """Register a function that measures one scan, as a representation.

    Parameters
    ----------
    name : str
        For the parameter ``representations``: small letters, digits and underscores.
    label : str, optional
        What tables and figures show; default: the name.

    Returns
    -------
    callable
        Decorator of a function of an :class:`alsnb.scan.Scan` and its brain mask (bool, on
        ``scan.data``'s grid) that returns the same finite numbers by name for every scan.

    Raises
    ------
    PluginError
        When the name is taken, or the function doesn't take a scan and a mask.
    """

    def register(extract: Callable[..., Mapping[str, float]]) -> Callable[..., Mapping[str, float]]:
        source = _checked(name, _representations, "representation")
        try:
            inspect.signature(extract).bind(None, None)
        except TypeError:
            raise PluginError(
                f"{source.path}: representation {name!r} is made by a function of a scan and its "
                f"brain mask, def {extract.__name__}(scan, mask)"
            ) from None
        _representations[name] = OwnRepresentation(extract, source)
        REPRESENTATIONS[name] = label or name
        return extract

    return register


def _checked(name: str, registry: Mapping[str, Any], kind: str) -> Source:
    if _loading is None:
        raise PluginError(
            f"{kind} {name!r} is registered outside a run; give its file to the parameter plugins"
        )
    where = f"{_loading.path}: {kind} {name!r}"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{where}: give 2 to 30 small letters, digits or underscores")
    if name in _TAKEN:
        raise PluginError(f"{where}: the name is taken; give another")
    other = _both().get(name)
    if other is not None and (name not in registry or other.source.path != _loading.path):
        raise PluginError(f"{where}: {other.source.path} registers that name; give another")
    return _loading


def _check_estimator(name: str, made: Any, source: Source) -> None:
    where = f"{source.path}: classifier {name!r}"
    lacking = [
        method
        for method in ("fit", "get_params", "set_params")
        if not callable(getattr(made, method, None))
    ]
    scored = any(hasattr(made, m) for m in ("decision_function", "predict_proba"))
    if isinstance(made, type) or lacking or not scored:
        what = ", ".join(lacking) or "decision_function or predict_proba"
        raise PluginError(
            f"{where} returns {getattr(made, '__name__', type(made).__name__)}, without {what}; "
            "return an unfitted scikit-learn classifier"
        )
    if hasattr(made, "classes_"):
        raise PluginError(f"{where} returns an estimator that was fitted before; build a new one")


def _check_grid(name: str, made: Any, grid: Mapping[str, Sequence[float]], source: Source) -> None:
    known = made.get_params()
    for key, values in grid.items():
        where = f"{source.path}: classifier {name!r}: grid of {key!r}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise PluginError(f"{where}: the estimator has no such parameter{hint}")
        numbers = not isinstance(values, str) and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in values
        )
        if not numbers or not len(values):
            raise PluginError(f"{where} is {values!r}; give a list of numbers")


def use(files: Iterable[str | Path]) -> None:
    """Load plugin files in this process; one that was loaded and is unchanged costs nothing.

    Parameters
    ----------
    files : iterable of str or pathlib.Path
        Python files.

    Raises
    ------
    PluginError
        When a file can't be read, fails, or registers nothing.
    """
    adopt([read(file) for file in files])


def read(file: str | Path) -> Source:
    """Read a plugin file without executing it.

    Parameters
    ----------
    file : str or pathlib.Path
        A Python file.

    Returns
    -------
    Source
        Its path and text.

    Raises
    ------
    PluginError
        When there is no such file.
    """
    path = Path(file).expanduser().resolve()
    try:
        return Source(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise PluginError(f"plugins: {path} can't be read ({why}); give a Python file") from error


def adopt(sources: Iterable[Source]) -> None:
    """Load what another process read.

    Parameters
    ----------
    sources : iterable of Source
        From :func:`read` or :func:`sources`.

    Raises
    ------
    PluginError
        As :func:`use`.
    """
    for source in sources:
        if _loaded.get(source.path) != source:
            _forget(source.path)
            _execute(source)
            _loaded[source.path] = source


def sources() -> list[Source]:
    """Give the files loaded in this process, for workers."""
    return list(_loaded.values())


def _forget(path: str) -> None:
    """Take back what an earlier text of a file registered."""
    _loaded.pop(path, None)
    registries: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
        (_classifiers, CLASSIFIERS),
        (_representations, REPRESENTATIONS),
    )
    for registry, labels in registries:
        for name in [n for n, own in registry.items() if own.source.path == path]:
            del registry[name], labels[name]


def _execute(source: Source) -> None:
    global _loading
    name = f"alsnb_plugin_{source.digest[:12]}"
    module = types.ModuleType(name)
    module.__file__ = source.path
    # A traceback shows the line, on a machine without the file too.
    lines = source.text.splitlines(keepends=True)
    linecache.cache[source.path] = (len(source.text), None, lines, source.path)
    sys.modules[name], _loading = module, source
    try:
        exec(compile(source.text, source.path, "exec"), module.__dict__)
        if not any(own.source == source for own in _both().values()):
            raise PluginError(
                f"{source.path} registers nothing; decorate a function with "
                "alsnb.plugins.classifier or alsnb.plugins.representation"
            )
    except BaseException as error:
        sys.modules.pop(name, None)
        _forget(source.path)
        if isinstance(error, AlsnbError) or not isinstance(error, Exception):
            raise
        raise PluginError(f"{source.path} failed: {line_of(error, source.path)}") from error
    finally:
        _loading = None


def line_of(error: Exception, path: str) -> str:
    """Say what went wrong and in which line of a plugin.

    Parameters
    ----------
    error : Exception
        As caught.
    path : str
        The plugin's file.

    Returns
    -------
    str
        ``"line 7: ValueError: ..."``, the last line of the file that was passed.
    """
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return said
    trace, line = error.__traceback__, 0
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == path else line
        trace = trace.tb_next
    return f"line {line}: {said}" if line else said


def within(sources: Sequence[Source], call: tuple[Any, tuple, dict]) -> Any:
    """Make a call on a worker that knows the same plugins.

    Parameters
    ----------
    sources : sequence of Source
        From :func:`sources` of the process that sends the call.
    call : (function, arguments, options)
        As ``joblib.delayed`` makes it; its arguments hold names, nothing of a plugin's own.

    Returns
    -------
    Any
        What the function returns.
    """
    adopt(sources)
    function, arguments, options = call
    return function(*arguments, **options)


def check_names(
    kind: str, names: Collection[str], own: Collection[str], paper: Collection[str]
) -> None:
    """Raise where a parameter names something that neither the paper nor a plugin has.

    Parameters
    ----------
    kind : str
        The parameter.
    names, own, paper : collection of str
        What it names, what plugins register, and what is there without.

    Raises
    ------
    PluginError
        With the nearest name.
    """
    known = [*paper, *own]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise PluginError(f"{kind}: no {name!r}; {hint}there are {', '.join(known)}")


def registered(files: Iterable[str | Path]) -> tuple[list[str], list[str]]:
    """Name what files that were loaded register.

    Parameters
    ----------
    files : iterable of str or pathlib.Path
        As for :func:`use`.

    Returns
    -------
    classifiers, representations : list of str
        Names.
    """
    paths = {str(Path(file).expanduser().resolve()) for file in files}
    return (
        [name for name, own in _classifiers.items() if own.source.path in paths],
        [name for name, own in _representations.items() if own.source.path in paths],
    )


def _both() -> dict[str, Any]:
    return {**_classifiers, **_representations}


def own_classifier(name: str) -> OwnClassifier | None:
    """Give a registered classifier; None for one of the paper's."""
    return _classifiers.get(name)


def own_representation(name: str) -> OwnRepresentation | None:
    """Give a registered representation; None for one of the paper's."""
    return _representations.get(name)


def digests(names: Iterable[str]) -> list[str]:
    """Give the hashes of the files behind names, for keys of what is computed with them.

    Parameters
    ----------
    names : iterable of str
        Classifiers or representations; the paper's count for nothing.

    Returns
    -------
    list of str
        One for each name of one's own.
    """
    both = _both()
    return [f"{name} {both[name].source.digest}" for name in names if name in both]
