"""Regression: the commands and files of the book's page on clusters are ones that work."""

import ast
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from cluster import ROOT, Cluster

from alsnb import parameters
from alsnb.scheduling import at, width

PAGE = (ROOT / "book" / "cluster.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_commands_by_hand_make_a_cluster(tmp_path):
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    scheduler, worker = (next(x for x in lines if x.startswith(f"dask {w}")) for w in
                         ("scheduler", "worker"))  # fmt: skip
    assert "--nthreads 1" in worker
    changed = {"/data/scheduler.json": str(tmp_path / "scheduler.json"), "16": "2"}
    own = Cluster.__new__(Cluster)
    own.file, own.folder, own.workers = tmp_path / "scheduler.json", tmp_path, []
    # Not on the ports that a person's cluster may have on this machine.
    words = [changed.get(w, w) for w in shlex.split(scheduler)[1:]]
    own.scheduler = own._start(*words, "--port", "0", "--dashboard-address", ":0")
    own.workers.append(own._start(*(changed.get(w, w) for w in shlex.split(worker)[1:])))
    try:
        own.wait(2)
        with at(str(own.file), tmp_path):
            assert width(-1) == 2
    finally:
        for worker in own.workers:  # its nanny ends the workers
            worker.terminate()
            worker.wait()
        own.close()


def test_alsnb_commands_have_parameters_that_exist():
    settings = re.findall(r"--set ((?:\w+=\S+ ?)+)", PAGE)
    assert len(settings) >= 2
    for text in settings:
        parameters.validate(parameters.parse_assignments(text.split()))


def test_the_slurm_script_asks_for_workers_of_one_thread(tmp_path):
    pytest.importorskip(
        "dask_jobqueue", reason="dask-jobqueue is not installed: documentation only"
    )
    (script,) = blocks("python")
    ast.parse(script)
    (tmp_path / "slurm_cluster.py").write_text(script)
    code = (
        "import pathlib, slurm_cluster\n"
        "if __name__ == '__main__':\n"
        "    with slurm_cluster.cluster('scheduler.json') as made: \n"
        "        print(made.job_script(), pathlib.Path('scheduler.json').is_file())\n"
    )
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    job = done.stdout
    assert "#SBATCH -p normal" in job and "#SBATCH -t 08:00:00" in job
    assert "--nthreads 1 " in job and "--memory-limit 3.73GiB" in job
    assert "source /data/alsnb/.venv/bin/activate" in job
    assert job.rstrip().endswith("True")  # the scheduler file that `alsnb run` is given


def test_the_manifests_are_whole_and_agree():
    (text,) = blocks("yaml")
    parts = {(p["kind"], p["metadata"]["name"]): p for p in yaml.safe_load_all(text)}
    pods = {n: p["spec"]["template"] for (k, n), p in parts.items() if k != "Service"}
    images = {c["image"] for p in pods.values() for c in p["spec"]["containers"]}
    assert len(images) == 1
    service = parts["Service", "alsnb-scheduler"]["spec"]
    assert service["selector"] == pods["alsnb-scheduler"]["metadata"]["labels"]
    address = f"tcp://alsnb-scheduler:{service['ports'][0]['port']}"
    worker = pods["alsnb-worker"]["spec"]["containers"][0]["command"]
    command = pods["alsnb-run"]["spec"]["containers"][0]["command"]
    assert address in worker and worker[worker.index("--nthreads") + 1] == "1"
    settings = command[command.index("--set") + 1 :]
    assert parameters.validate(parameters.parse_assignments(settings)).scheduler == address
