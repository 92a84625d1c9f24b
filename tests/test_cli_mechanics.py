"""Mechanics: the command says clearly what is wrong and never shows a traceback for bad input."""

import subprocess
import sys

import pandas as pd
import pytest

from alsnb.cli import main


def alsnb(*arguments):
    command = [sys.executable, "-m", "alsnb", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


ROWS = [(f"sub-{i:02d}", 40 + i, "MF"[i % 2], "ALS" if i < 8 else "mimic") for i in range(12)]


def test_help_and_version():
    assert "simulate" in alsnb("--help").stdout
    assert alsnb("--version").stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--set", "n_subject=4"], ["unknown parameter 'n_subject'", "'n_subjects'"]),
        (["run", "--profile", "nosuch"], ["no profile nosuch", "demo"]),
        (["book", "--run", "never_made"], ["no run folder", "alsnb run"]),
        (
            ["run", "--set", "weights=/no/such.pt", "--chapters", "99"],
            ["no chapter", "01_simulate"],
        ),
    ],
)
def test_bad_input_is_one_clear_line(arguments, words, tmp_path):
    if arguments[0] in {"run", "check"}:
        arguments = [*arguments, "--name", tmp_path / "r"]
    done = alsnb(*arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_check_reports_everything_at_once(make_bids, tmp_path, capsys):
    # Enough people for every classifier of every protocol: 6 more of each group.
    more = [(f"sub-{i}", 40 + i, "MF"[i % 2], "ALS" if i < 36 else "mimic") for i in range(30, 42)]
    others = [("sub-20", "x", "M", "other"), ("sub-21", 50, "M", "ALS")]
    root = make_bids([*ROWS, *more, *others])
    (root / "sub-03" / "anat" / "sub-03_T1w.nii.gz").write_bytes(b"")
    (root / "sub-21" / "anat" / "sub-21_T1w.nii.gz").unlink()
    arguments = ["check", "--profile", "bids", "--name", str(tmp_path / "r"), "--set"]
    assert main([*arguments, f"bids_root={root}"]) == 0
    said = capsys.readouterr().out
    for word in (
        "13 ALS",
        "10 mimic",
        "unreadable",
        "missing_scan",
        "'other'",
    ):
        assert word in said
    assert "error" not in said


def test_check_says_how_many_neighbours_smote_can_have(make_bids, tmp_path, capsys):
    rows = [(f"sub-{i}", 40 + i, "MF"[i % 2], "ALS" if i < 24 else "mimic") for i in range(10, 30)]
    arguments = ["check", "--profile", "bids", "--name", str(tmp_path / "r"), "--set"]
    assert main([*arguments, f"bids_root={make_bids(rows)}"]) == 0
    # 6 mimics leave 4 in a training fold: 3 neighbours for each.
    assert "lowered from 5 to 3" in capsys.readouterr().out


def test_check_lists_problems_of_the_table_and_of_scans_together(make_bids, tmp_path, capsys):
    root = make_bids([*ROWS, ROWS[3]])
    (root / "sub-02" / "anat" / "sub-02_T1w.nii.gz").write_bytes(b"")
    arguments = ["check", "--profile", "bids", "--name", str(tmp_path / "r"), "--set"]
    assert main([*arguments, f"bids_root={root}", "positive_label=Patient"]) == 1
    said = capsys.readouterr().out
    for word in ("listed more than once: ['sub-03']", "has group 'Patient'", "unreadable): sub-02"):
        assert word in said
    assert main([*arguments, f"bids_root={tmp_path / 'none'}"]) == 1
    assert "no such folder" in capsys.readouterr().out


def test_check_fails_when_a_class_is_too_small(make_bids, tmp_path, capsys):
    root = make_bids(ROWS[:9])
    code = main(
        ["check", "--profile", "bids", "--name", str(tmp_path / "r"), "--set", f"bids_root={root}"]
    )
    assert code == 1
    assert "error: 1 usable subjects of the class 'mimic'" in capsys.readouterr().out


def test_a_run_of_one_class_stops_before_long_work(make_bids, tmp_path):
    root = make_bids(ROWS[:9])
    done = alsnb("run", "--profile", "bids", "--name", tmp_path / "r", "--set", f"bids_root={root}")
    assert done.returncode == 1
    assert "'mimic'" in done.stderr
    assert not (tmp_path / "r" / "store").exists()


def test_a_cohort_too_small_for_a_classifier_stops_before_long_work(make_bids, tmp_path):
    root = make_bids(ROWS[4:])
    done = alsnb("run", "--profile", "bids", "--name", tmp_path / "r", "--set", f"bids_root={root}")
    assert done.returncode == 1
    assert "Knn: a training set of the grid search has 5 subjects" in done.stderr
    assert not (tmp_path / "r" / "store").exists()


@pytest.fixture
def table_only(make_bids):
    """A BIDS folder with participants and no scan."""
    return make_bids(ROWS, scans=False)


def test_check_says_what_can_run_without_scans(table_only, tmp_path, capsys):
    arguments = ["check", "--profile", "bids", "--name", str(tmp_path / "r"), "--set"]
    assert main([*arguments, f"bids_root={table_only}"]) == 1
    said = capsys.readouterr().out
    assert (
        "error: no scan was found; to study participants.tsv alone set require_scan=false" in said
    )
    assert "--chapters 02 08 09 10" in said
    assert main([*arguments, f"bids_root={table_only}", "require_scan=false"]) == 0
    said = capsys.readouterr().out
    assert "8 ALS" in said
    assert "note: there is no scan in this folder" in said
    assert "--chapters 02 08 09 10" in said
    assert "SMOTE" not in said


@pytest.mark.parametrize(
    ("settings", "asked", "words"),
    [
        (["require_scan=false"], [], ["there is no scan", "03_measure", "--chapters 02 08 09 10"]),
        (["require_scan=false"], ["02", "07"], ["1 chapters need", "07_classify", "--chapters 02"]),
        ([], [], ["12 (missing_scan)", "set require_scan=false", "--chapters 02 08 09 10"]),
        ([], ["02"], ["no usable subject", "set require_scan=false"]),
    ],
)
def test_a_run_without_scans_names_what_can_run(table_only, tmp_path, settings, asked, words):
    chosen = ["--chapters", *asked] if asked else []
    done = alsnb(
        "run", "--profile", "bids", "--name", tmp_path / "r", *chosen,
        "--set", f"bids_root={table_only}", *settings,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not list((tmp_path / "r").glob("notebooks/*"))


def test_two_runs_at_once_on_one_folder_are_refused(tmp_path, make_bids):
    import fcntl

    root = make_bids(ROWS)
    (tmp_path / "r").mkdir()
    with (tmp_path / "r" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = alsnb(
            "run", "--profile", "bids", "--name", tmp_path / "r", "--set", f"bids_root={root}"
        )
    assert done.returncode == 1
    assert "another run is at work" in done.stderr


def test_people_without_scans_have_their_chapters(table_only, tmp_path):
    folder = tmp_path / "r"
    done = alsnb(
        "run", "--profile", "bids", "--name", folder, "--chapters", "02", "10",
        "--set", f"bids_root={table_only}", "require_scan=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = pd.read_csv(folder / "tables" / "scorecard.csv")
    assert set(card["part"]) == {"People"}
    assert not (folder / "figures" / "scorecard_table3.svg").exists()
    page = (folder / "notebooks" / "10_compare_scorecard.ipynb").read_text(encoding="utf-8")
    assert page.count("There are no scans") >= 6
    shown = pd.read_csv(folder / "tables" / "demographics.csv")
    assert "paper: ALS (n = 548)" in shown


def test_simulate_writes_a_cohort_and_refuses_a_foreign_folder(tmp_path, make_bids):
    root = make_bids(ROWS)
    before = sorted(p for p in root.rglob("*"))
    done = alsnb("simulate", root, "--set", "n_subjects=8", "voxel_mm=8")
    assert done.returncode == 1
    assert sorted(p for p in root.rglob("*")) == before
    done = alsnb("simulate", tmp_path / "new", "--set", "n_subjects=8", "voxel_mm=8")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "participants.tsv").is_file()
