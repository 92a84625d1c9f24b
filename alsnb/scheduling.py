"""Where work is done: in this process, in processes of this machine, or on a Dask cluster.

Every parallel loop of the package goes through :func:`unordered` or :func:`ordered`, so that
the parameter ``scheduler`` moves all of them. Workers have one thread each; what is computed
does not depend on where. A worker that is lost costs what it was working on, which others
take over.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import os
import platform
import sys
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import joblib
import threadpoolctl

from alsnb import plugins
from alsnb.errors import AlsnbError
from alsnb.fingerprints import package_hash
from alsnb.progress import say

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

#: Packages whose versions decide values.
DECIDING = (
    "alsnb", "imbalanced-learn", "nibabel", "nilearn", "numpy", "pandas", "pyradiomics",
    "scikit-image", "scikit-learn", "scipy", "SimpleITK", "skorch", "statsmodels", "torch",
)  # fmt: skip
# A worker that imports torch after its first call has grown so much that loky takes it for
# leaking and starts another; nothing is lost by that, and nobody can do anything about it.
warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")

#: Seconds in which a scheduler has to answer, and in which a first worker has to join it.
ANSWER_S, JOIN_S = 10.0, 600.0
#: Calls sent ahead to a cluster: those that workers who join later can begin with.
_AHEAD = 128
#: How often calls whose results were lost are sent.
_ROUNDS = 3


class SchedulerError(AlsnbError):
    """A Dask cluster can't be reached, does not fit this process, or was lost."""


@dataclass
class _Place:
    """A cluster; connected at the first need."""

    scheduler: str
    folder: Path | None = None
    _client: Any = field(default=None, repr=False)

    def client(self) -> Any:
        if self._client is None:
            self._client = _connected(self.scheduler)
            try:
                _check_workers(self._client, self.folder)
            except BaseException:
                self.close()
                raise
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close(timeout=ANSWER_S)
            self._client = None


_place: _Place | None = None
_inside_task = False


def use(scheduler: str, folder: str | Path | None = None) -> None:
    """Choose for this process where parallel work is done from now on.

    Parameters
    ----------
    scheduler : str
        Address of a Dask scheduler (``tcp://host:8786``) or a path to its scheduler file;
        empty: this machine.
    folder : str or pathlib.Path, optional
        A folder that every worker has to see, because results are written there.
    """
    global _place
    if scheduler and _place is not None and _place.scheduler == scheduler:
        _place.folder = Path(folder) if folder else None
        return
    if _place is not None:
        _place.close()
    _place = _Place(scheduler, Path(folder) if folder else None) if scheduler else None


@contextmanager
def at(scheduler: str, folder: str | Path | None = None) -> Iterator[None]:
    """Work on a cluster within a ``with``; it is connected and checked at once.

    Parameters
    ----------
    scheduler : str
        As :func:`use` takes it.
    folder : str or pathlib.Path, optional
        As :func:`use` takes it.

    Raises
    ------
    SchedulerError
        When the scheduler doesn't answer, or a worker has other versions or sources of what
        decides values, more than one thread, or doesn't see `folder`.
    """
    use(scheduler, folder)
    try:
        if _place is not None:
            _place.client()
        yield
    finally:
        use("")


def unordered(calls: Iterable[Call], n_jobs: int = 1, *, anywhere: bool = True) -> Iterator[Any]:
    """Make calls in parallel and give their results as they come.

    Parameters
    ----------
    calls : iterable of (function, arguments, options)
        As ``joblib.delayed`` makes them. Nothing is started when there is none.
    n_jobs : int, default 1
        Processes; -1: one per core. With 1 everything happens in this process, cluster or not,
        and so does a single call on this machine, with one thread; otherwise a cluster's
        workers, all of them, take the place of this machine's.
    anywhere : bool, default True
        False: on this machine, because the calls need it.

    Yields
    ------
    Any
        A result a call.

    Raises
    ------
    SchedulerError
        When the cluster, or a process of this machine, was lost for good.
    """
    return _made(calls, n_jobs, "generator_unordered", anywhere)


@contextmanager
def waking(call: Call, n_jobs: int) -> Iterator[None]:
    """Start this machine's worker processes while something else is done.

    Parameters
    ----------
    call : (function, arguments, options)
        As ``joblib.delayed`` makes it; each worker makes it once, to import what it will need.
    n_jobs : int
        Processes that will be asked for; -1: one per core. 1: nothing is started.
    """
    woken: Iterator[Any] = iter(())
    if n_jobs != 1:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            run = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        woken = run(call for _ in range(joblib.effective_n_jobs(n_jobs)))
    try:
        yield
    finally:
        for _ in woken:  # a generator that is thrown away would stop the workers
            pass


def ordered(calls: Iterable[Call], n_jobs: int = 1) -> Iterator[Any]:
    """Make calls in parallel and give their results in the order of the calls.

    Parameters
    ----------
    calls : iterable of (function, arguments, options)
        As ``joblib.delayed`` makes them.
    n_jobs : int, default 1
        As for :func:`unordered`.

    Yields
    ------
    Any
        A result a call.
    """
    return _made(calls, n_jobs, "generator", True)


def width(n_jobs: int) -> int:
    """Say how many calls are made at a time.

    Parameters
    ----------
    n_jobs : int
        As for :func:`unordered`.

    Returns
    -------
    int
        Processes of this machine, or workers of the cluster.
    """
    if n_jobs == 1 or _inside_task:
        return 1
    if _place is None:
        return joblib.effective_n_jobs(n_jobs)
    return max(1, sum(_place.client().nthreads().values()))


def _made(calls: Iterable[Call], n_jobs: int, return_as: str, anywhere: bool) -> Iterator[Any]:
    calls = iter(calls)
    first = next(calls, None)
    if first is None:  # workers take seconds to come up
        return
    calls = itertools.chain([first], calls)
    if (loaded := plugins.sources()) and n_jobs != 1:
        calls = (joblib.delayed(plugins.within)(loaded, call) for call in calls)
    if n_jobs == 1 or _inside_task:
        for function, arguments, options in calls:
            yield function(*arguments, **options)
        return
    first, second = next(calls), next(calls, None)
    if second is None and anywhere and _place is None:  # sooner done than a worker has started
        function, arguments, options = first
        with threadpoolctl.threadpool_limits(1):
            result = function(*arguments, **options)
        yield result
        return
    calls = itertools.chain([first] if second is None else [first, second], calls)
    # The settings of `parallel_config` are read when Parallel is made; they must not stay in
    # force while this generator waits.
    if _place is None or not anywhere:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            run = joblib.Parallel(n_jobs=n_jobs, return_as=return_as)
        yield from _local(run(calls))
    else:
        results = _remote(enumerate(calls), _place)
        yield from _in_order(results) if return_as == "generator" else (v for _, v in results)


def _local(results: Iterator[Any]) -> Iterator[Any]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield from results
    except TerminatedWorkerError as error:
        raise SchedulerError(
            "a worker process was ended from outside, most often for want of memory; what was "
            "finished is kept: run the same again, with a lower n_jobs if memory was short"
        ) from error


def _remote(calls: Iterator[tuple[int, Call]], place: _Place) -> Iterator[tuple[int, Any]]:
    """Make numbered calls on a cluster.

    Joblib's Dask backend ends early, without an error, when results are cancelled because the
    scheduler went away. So what was sent is counted, and sent again while there is a cluster.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        """A cluster of one worker is a cluster too: joblib would work in this process."""

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

    client = place.client()
    for _ in range(_ROUNDS):
        sent: dict[int, Call] = {}
        backend = Backend(client=client, wait_for_workers_timeout=JOIN_S)
        with joblib.parallel_config(backend=backend):
            ahead = max(2 * sum(client.nthreads().values()), _AHEAD)
            run = joblib.Parallel(return_as="generator_unordered", pre_dispatch=ahead)
        try:
            for number, problem, value in run(_packed(calls, sent)):
                if problem:
                    raise SchedulerError(problem)
                del sent[number]
                yield number, value
        except KilledWorker as error:
            raise SchedulerError(
                f"the same calls were lost with several workers of {place.scheduler}, most often "
                f"for want of memory ({error}); what was finished is kept: give workers more and "
                "run the same again"
            ) from error
        except FutureCancelledError:  # with the scheduler that knew of them
            pass
        if client.status != "running":
            break
        remaining = itertools.chain(list(sent.items()), calls)
        first = next(remaining, None)
        if first is None:
            return
        calls = itertools.chain([first], remaining)
    raise SchedulerError(
        f"the scheduler {place.scheduler} was lost with {len(sent)} calls under way; what was "
        "finished is kept: run the same again"
    )


def _in_order(results: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    waiting: dict[int, Any] = {}
    due = 0
    for number, value in results:
        waiting[number] = value
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def _packed(calls: Iterator[tuple[int, Call]], sent: dict[int, Call]) -> Iterator[Call]:
    """Wrap calls for a cluster and remember them.

    Joblib would leave large arguments in the memory of one worker, with which they can be lost;
    bytes it sends with each call.
    """
    from distributed.protocol.pickle import dumps

    code = package_hash()
    for number, call in calls:
        sent[number] = call
        yield _task, (number, code, dumps(call)), {}


def _task(number: int, code: str, packed: bytes) -> tuple[int, str, Any]:
    """Make one call on a worker of a cluster; give its number, a problem and the value."""
    global _inside_task
    if _own_code() != code:  # a worker that joined after the first check
        return number, f"worker {_worker_name()} has other sources of alsnb than the client", None
    from distributed.protocol.pickle import loads

    function, arguments, options = loads(packed)
    _limit_threads(frozenset(_THREADED & sys.modules.keys()))
    _keep_memory()
    _inside_task = True
    # Not Dask's nested parallelism, in which scikit-learn would send each tree of a forest
    # around the cluster.
    with joblib.parallel_config(backend="sequential"):
        try:
            return number, "", function(*arguments, **options)
        finally:
            _inside_task = False


@functools.cache
def _own_code() -> str:
    return package_hash()


def _worker_name() -> str:
    from distributed import get_worker

    return get_worker().address


#: Of glibc's malloc.h; its own adjustment ends at 32 and twice 32 MiB.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_THREADED = {"numpy", "scipy.linalg", "sklearn", "torch", "SimpleITK", "numba"}


@functools.cache
def _limit_threads(loaded: frozenset[str]) -> None:
    """Give each library that is loaded by now one thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    threadpoolctl.threadpool_limits(1)
    if "torch" in loaded:
        sys.modules["torch"].set_num_threads(1)
    if "SimpleITK" in loaded:
        sys.modules["SimpleITK"].ProcessObject.SetGlobalDefaultNumberOfThreads(1)


@functools.cache
def _keep_memory() -> None:
    """Let glibc keep freed memory for the next scan, as it does by itself.

    Dask's nanny sets ``MALLOC_TRIM_THRESHOLD_``, by which also each larger array is asked of the
    system anew and handed back at once: 1.4 to 2 times the processor time of our stages.
    """
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        return
    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)


def _connected(scheduler: str) -> Any:
    from distributed import Client

    if "://" not in scheduler and not Path(scheduler).is_file():
        raise SchedulerError(
            f"scheduler {scheduler!r} is neither an address such as tcp://host:8786 nor a "
            "scheduler file that exists"
        )
    address = scheduler if "://" in scheduler else _address_in(scheduler)
    try:
        return Client(address, timeout=ANSWER_S, set_as_default=False, name="alsnb")
    except Exception as error:  # another service at the port answers anything
        why = str(error) or type(error).__name__
        raise SchedulerError(
            f"no Dask scheduler answers at {scheduler} within {ANSWER_S:g} s ({why}); start it, "
            "or set scheduler= to work on this machine"
        ) from error


def _address_in(scheduler_file: str) -> str:
    """Read the address that a scheduler left in its file."""
    try:
        return str(json.loads(Path(scheduler_file).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SchedulerError(
            f"scheduler file {scheduler_file} holds no address; is it still being written?"
        ) from error


def _check_workers(client: Any, folder: Path | None) -> None:
    """Raise one error with everything in which workers don't fit this process."""
    from distributed.client import FutureCancelledError

    if not client.nthreads():
        _wait_for_worker(client)
    marker = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / f".writing-seen-{uuid.uuid4().hex}"
        marker.touch()
    try:
        answers = client.run(_about, str(marker or ""), on_error="return")
    except (OSError, FutureCancelledError) as error:
        raise SchedulerError(
            f"the scheduler was lost while its workers were asked: {error}"
        ) from error
    finally:
        if marker is not None:
            marker.unlink(missing_ok=True)
    own, threads = _about(""), client.nthreads()
    problems = [
        f"worker {worker} {problem}"
        for worker, answer in answers.items()
        for problem in _differences(answer, own, threads.get(worker, 1), folder)
    ]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise SchedulerError("; ".join(problems[:5]) + more)


def _wait_for_worker(client: Any) -> None:
    from distributed.client import FutureCancelledError

    # A call that waits is what makes an adaptive cluster start workers.
    probe = client.submit(os.getpid, pure=False)
    say(f"waiting for a worker of {client.scheduler.address}")
    try:
        probe.result(timeout=JOIN_S)
    except (TimeoutError, FutureCancelledError) as error:
        raise SchedulerError(
            f"no worker joined {client.scheduler.address} within {JOIN_S:g} s ({error})"
        ) from None


def versions() -> dict[str, str]:
    """Give the versions of the packages that decide values.

    Returns
    -------
    dict of str to str
        ``"unknown"`` for what is not installed.
    """
    found = {}
    for name in DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _about(marker: str) -> dict[str, Any]:
    """Say what decides values in this process, and whether it sees a file."""
    seen = not marker or Path(marker).exists()
    python = platform.python_version()
    return {"versions": {"python": python, **versions()}, "code": _own_code(), "sees": seen}


def _differences(
    answer: Any, own: dict[str, Any], n_threads: int, folder: Path | None
) -> list[str]:
    if isinstance(answer, BaseException):
        return [f"can't run alsnb ({type(answer).__name__}: {answer}); install it there"]
    found = [
        f"has {name} {theirs}, this process {own['versions'][name]}"
        for name, theirs in answer["versions"].items()
        if theirs != own["versions"].get(name)
    ]
    if not found and answer["code"] != own["code"]:
        found.append("has other sources of alsnb, though the same version; install the same there")
    if n_threads != 1:
        found.append(
            f"has {n_threads} threads; start workers with --nthreads 1, because seeds and numbers "
            "of threads are a process's own"
        )
    if not answer["sees"]:
        found.append(f"does not see {folder}; the run folder has to be on shared storage")
    return found
