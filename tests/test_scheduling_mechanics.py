"""Mechanics: the same results in one process, in several and on a cluster that loses workers."""

import os
import resource
import signal
import socketserver
import threading
import time

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
import threadpoolctl
from cluster import Cluster, _until
from slow_means import SlowMeans

from alsnb import features, kept_tables, protocols, scheduling
from alsnb.errors import CohortError


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.add_worker()
    made.add_worker()
    made.wait(2)
    yield made
    made.close()


@pytest.fixture
def people(make_scan):
    rows = []
    for i in range(12):
        data = np.random.default_rng(i).uniform(1, 100, (6, 6, 6))
        rows.append((f"sub-{i:02d}", str(make_scan(f"sub-{i:02d}_T1w.nii.gz", data))))
    return pd.DataFrame(rows, columns=["participant_id", "t1w"])


def contents(folder):
    """Every file that holds results, by its place in the store."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.parent.name == "slow_means" and not p.name.startswith(".writing-")
    }


def test_results_come_in_order_or_as_they_come():
    calls = [joblib.delayed(divmod)(n, 3) for n in range(20)]
    expected = [divmod(n, 3) for n in range(20)]
    for n_jobs in (1, 2):
        assert list(scheduling.ordered(calls, n_jobs)) == expected
        assert sorted(scheduling.unordered(calls, n_jobs)) == sorted(expected)
    assert list(scheduling.unordered([], 2)) == []


def _where():
    """Process, and threads of its libraries."""
    return os.getpid(), {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def test_a_single_call_needs_no_worker_and_has_one_thread():
    before = _where()
    for made in (scheduling.ordered, scheduling.unordered):
        assert list(made([joblib.delayed(_where)()], 2)) == [(os.getpid(), {1})]
        assert _where() == before  # and this process has its threads again
    two = list(scheduling.ordered([joblib.delayed(_where)()] * 2, 2))
    assert os.getpid() not in {process for process, _ in two}
    # Notebooks are executed in workers, whose environment their kernels take over.
    ((elsewhere, _),) = scheduling.unordered([joblib.delayed(_where)()], 2, anywhere=False)
    assert elsewhere != os.getpid()


def test_workers_are_woken_meanwhile_and_then_used():
    joblib.externals.loky.get_reusable_executor().shutdown(kill_workers=True)
    with scheduling.waking(joblib.delayed(time.sleep)(0.1), 2):
        woken = {p.pid for p in psutil.Process().children(recursive=True)}
        assert list(scheduling.ordered([joblib.delayed(divmod)(7, 3)], 2)) == [(2, 1)]
    assert set(scheduling.ordered([joblib.delayed(os.getpid)()] * 4, 2)) <= woken
    with scheduling.waking(joblib.delayed(_end_this_process)(), 1):  # nothing is started
        pass


def test_what_fails_while_workers_wake_is_said_as_it_is():
    with pytest.raises(ZeroDivisionError), scheduling.waking(joblib.delayed(time.sleep)(0.1), 2):
        divmod(1, 0)
    assert list(scheduling.ordered([joblib.delayed(divmod)(n, 3) for n in (7, 8)], 2))


def test_a_local_worker_that_is_killed_is_a_clear_error():
    calls = [joblib.delayed(os.kill)(pid, signal.SIGKILL) for pid in ()]
    calls += [joblib.delayed(_end_this_process)() for _ in range(3)]
    with pytest.raises(scheduling.SchedulerError, match="ended from outside.*lower n_jobs"):
        list(scheduling.unordered(calls, 2))


def _end_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_cluster_gives_the_same_bytes(people, cluster, tmp_path):
    here = features.extract(people, SlowMeans(), tmp_path / "here", progress=False)
    with scheduling.at(str(cluster.file), tmp_path):
        there = features.extract(people, SlowMeans(), tmp_path / "there", n_jobs=-1, progress=False)
    pd.testing.assert_frame_equal(here.features, there.features, check_exact=True)
    pd.testing.assert_frame_equal(here.diagnostics, there.diagnostics)
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert len(contents(tmp_path / "there")) == 24  # a record and an artifact each


def test_protocols_and_kept_tables_give_the_same_on_a_cluster(cluster, tmp_path):
    rng = np.random.default_rng(0)
    index = pd.Index([f"sub-{i:02d}" for i in range(48)], name="participant_id")
    labels = pd.Series(rng.permutation(np.repeat([1, 0], [32, 16])), index=index)
    table = pd.DataFrame(rng.normal(size=(48, 200)), index=index).rename(columns=str)
    options = {"classifiers": ["knn", "dnn_t"], "protocol": "nested", "max_epochs": 3}
    tables = {"radiomics": table}
    calls = [(_moments, (table, n), {}) for n in range(3)]
    here = protocols.run_many(tables, labels, n_jobs=1, progress=False, **options)
    kept = kept_tables.keep(calls, tmp_path / "a", "x", "moments", 1, False)
    with scheduling.at(str(cluster.file), tmp_path):
        there = protocols.run_many(tables, labels, n_jobs=-1, progress=False, **options)
        kept_there = kept_tables.keep(calls, tmp_path / "b", "x", "moments", -1, False)
        assert scheduling.width(-1) == 2
    pd.testing.assert_frame_equal(here.predictions, there.predictions, check_exact=True)
    for a, b in zip(kept, kept_there, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def _moments(table, n):
    return {"n": n, "moment": float((table.to_numpy() ** n).mean())}


def test_a_worker_killed_half_way_costs_nothing_that_was_finished(people, tmp_path):
    expected = features.extract(people, SlowMeans(), tmp_path / "here", progress=False)
    own = Cluster(tmp_path)
    try:
        victim, _ = own.add_worker(), own.add_worker()
        own.wait(2)
        store = tmp_path / "there"

        def kill():
            _until(lambda: len(list((store / "slow_means").glob("*.json"))) >= 3, "no records")
            finished.extend((store / "slow_means").glob("*.json"))
            times.update({p: p.stat().st_mtime_ns for p in finished})
            victim.send_signal(signal.SIGKILL)

        finished, times = [], {}
        killer = threading.Thread(target=kill)
        with scheduling.at(str(own.file), tmp_path):
            killer.start()
            found = features.extract(people, SlowMeans(0.3), store, n_jobs=-1, progress=False)
        killer.join()
        assert victim.wait() == -signal.SIGKILL
    finally:
        own.close()
    pd.testing.assert_frame_equal(found.features, expected.features, check_exact=True)
    assert contents(store) == contents(tmp_path / "here")
    assert 3 <= len(finished) < len(people)  # it was half-way
    # A record that was there is not made again.
    assert all(p.stat().st_mtime_ns == times[p] for p in finished)


def test_a_scheduler_that_is_lost_is_a_clear_error(tmp_path):
    own = Cluster(tmp_path)
    try:
        own.add_worker()
        own.wait(1)
        calls = [joblib.delayed(time.sleep)(0.2) for _ in range(50)]
        with (
            pytest.raises(scheduling.SchedulerError, match=r"was lost with \d+ calls.*is kept"),
            scheduling.at(str(own.file)),
        ):
            for n, _ in enumerate(scheduling.unordered(calls, -1)):
                if n == 2:
                    own.scheduler.send_signal(signal.SIGKILL)
    finally:
        own.close()


def test_nobody_at_the_address_is_said_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling, "ANSWER_S", 1.0)
    with (
        pytest.raises(scheduling.SchedulerError, match="no Dask scheduler answers at tcp://127"),
        scheduling.at("tcp://127.0.0.1:9"),
    ):
        pass
    with (
        pytest.raises(scheduling.SchedulerError, match="neither an address such as"),
        scheduling.at(str(tmp_path / "no.json")),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"address": '])
def test_a_scheduler_file_that_is_not_written_yet_is_a_clear_error(text, tmp_path):
    (tmp_path / "scheduler.json").write_text(text)
    with (
        pytest.raises(scheduling.SchedulerError, match="scheduler.json holds no address; is it"),
        scheduling.at(str(tmp_path / "scheduler.json")),
    ):
        pass


def test_another_service_at_the_address_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling, "ANSWER_S", 5.0)
    with socketserver.TCPServer(("127.0.0.1", 0), _Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        with (
            pytest.raises(scheduling.SchedulerError, match=f"no Dask scheduler answers at.*{port}"),
            scheduling.at(f"tcp://127.0.0.1:{port}"),
        ):
            pass
        server.shutdown()


class _Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: not Dask\r\n\r\n")


def test_workers_that_do_not_fit_are_named(cluster, tmp_path, monkeypatch):
    own = scheduling.versions()
    monkeypatch.setattr(scheduling, "versions", lambda: own | {"numpy": "0.1"})
    with (
        pytest.raises(
            scheduling.SchedulerError,
            match=rf"worker tcp://\S+ has numpy {own['numpy']}, this process 0\.1",
        ),
        scheduling.at(str(cluster.file)),
    ):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(scheduling, "_own_code", lambda: "other")
    with (
        pytest.raises(scheduling.SchedulerError, match=r"worker tcp://\S+ has other sources"),
        scheduling.at(str(cluster.file)),
    ):
        pass


def test_a_worker_with_two_threads_is_refused(tmp_path):
    own = Cluster(tmp_path)
    try:
        own.add_worker("--nthreads", "2")
        own.wait(1)
        with (
            pytest.raises(scheduling.SchedulerError, match="has 2 threads; start workers with"),
            scheduling.at(str(own.file)),
        ):
            pass
    finally:
        own.close()


def test_an_error_of_a_call_arrives_as_it_was(cluster):
    with scheduling.at(str(cluster.file)), pytest.raises(CohortError, match="nobody"):
        list(scheduling.unordered([joblib.delayed(_fail)()], -1))


def _fail():
    raise CohortError("nobody is left")


def test_workers_have_one_thread_and_start_nothing_themselves(cluster):
    with scheduling.at(str(cluster.file)):
        ((threads, width),) = scheduling.unordered([joblib.delayed(_threads)()], -1)
    assert width == 1
    assert set(threads) == {1}


def _threads():
    import SimpleITK
    import threadpoolctl
    import torch

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    itk = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    return [torch.get_num_threads(), itk, *pools], scheduling.width(-1)


def _page_faults():
    """Process, and pages asked of the system for fifty arrays of 8 MB, one after another."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(1_000_000)
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_one_worker_is_a_cluster_and_keeps_its_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # as Dask's nanny sets it
    made = Cluster(tmp_path)
    try:
        made.add_worker()
        made.wait(1)
        with scheduling.at(str(made.file)):
            found = list(scheduling.ordered([joblib.delayed(_page_faults)()] * 4, -1))
    finally:
        made.close()
    assert {process for process, _ in found} == {made.workers[0].pid}
    # An array has 1,953 pages; asked for anew each time that would be 97,650.
    assert found[-1][1] < 10_000
