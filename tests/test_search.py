"""The command line: what is wrong is one sentence, exit 2 and nothing written; what is right runs."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import termios
from argparse import Namespace
from pathlib import Path

import pytest

from nas import status
from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search import __main__ as search
from nas.search.config import SearchConfig
from nas.search.resume import to_resumed
from nas.trials.standin import Standin
from nas.trials.training import ProxyTraining
from proxy_tasks.proxy import Proxy

STANDIN = ["--objective", "nas.trials.standin:Standin", "--launcher", "inprocess"]
SMALL = [
    "--budget",
    "0.5GFLOPs",
    "--max-depth",
    "6",
    "--max-width",
    "128",
    "--width-step",
    "16",
    "--tolerance",
    "0.1",
]


def refuse(capsys, *argv):
    """The one sentence of a refusal, once it has been checked that it is one."""
    out = Path("never")
    before = set(Path().iterdir())
    assert search.main([*argv, "--out", str(out)]) == 2
    assert set(Path().iterdir()) == before, "nothing is written"
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "Traceback" not in text
    return text


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--budget is missing"),
        (["--budget", "five"], "'five' is no budget"),
        (["--budget", "5GB"], "counts bytes"),
        (["--budget", "1kFLOPs"], "the smallest, d1-1-1-1"),
        (["--budget", "900TFLOPs"], "the largest, d24-24-24-24"),
        (["--budget", "5.1GFLOPs", "--tolerance", "0"], "the nearest are"),
        (["--budget", "5.1GFLOPs", "--tolerance", "2"], "below 1"),
        ([*SMALL, "--max-params", "20MB"], "--max-params '20MB' is no cap: write for example 30M"),
        ([*SMALL, "--max-params", "12ms"], "--max-params '12ms' is no cap"),
        ([*SMALL, "--max-activations=-6M"], "--max-activations '-6M' is no cap"),
        ([*SMALL, "--max-activations", "0x"], "--max-activations is above 0"),
        ([*SMALL, "--max-params", "1k"], "0.001M: the smallest that would do is --max-params"),
        ([*SMALL, "--max-params", "0.4M", "--max-activations", "0.1x"], "the smallest that would do is"),
        ([*SMALL, "--max-latency", "12"], "no latency table of"),
        ([*SMALL, "--max-latency", "12ms", "--latency-table", "none"], "no file of a latency table"),
        ([*SMALL, "--max-params", "0.5x", "--seed-arch", "resnet18"], "M parameters, above --max-params"),
        (["--budget", "5.1GFLOPs", "--strategy", "magic"], "--strategy is one of random"),
        (["--budget", "5.1GFLOPs", "--scheduler", "pbt"], "--scheduler is one of none, asha"),
        (["--budget", "5.1GFLOPs", "--launcher", "slurm"], "--launcher is one of"),
        (["--budget", "5.1GFLOPs", "--proxy", "huge"], "--proxy 'huge' is neither one of mini"),
        (["--budget", "5.1GFLOPs", "--trials", "0"], "--trials is at least 1"),
        (["--budget", "5.1GFLOPs", "--repeats", "2"], "--repeats is at least 3"),
        (["--budget", "5.1GFLOPs", "--rounds", "3"], "--rounds is 1 or 2"),
        (["--budget", "5.1GFLOPs", "--max-hours", "nan"], "--max-hours is a positive number"),
        (["--budget", "5.1GFLOPs", "--race-epochs", "0.5"], "--race-epochs multiplies"),
        (["--budget", "5.1GFLOPs", "--gpus-per-trial", "0.3"], "does not divide a GPU: use a slice 1/n"),
        (["--budget", "5.1GFLOPs", "--gpus-per-trial", "1.5"], "neither a whole number nor a slice"),
        (["--budget", "5.1GFLOPs", "--gpus-per-trial", "lots"], "auto, a whole number or a slice"),
        (["--budget", "5.1GFLOPs", "--seed-arch", "nothing.json"], "neither one of resnet18"),
        (["--budget", "5.1GFLOPs", "--storage", "nosuchdb://host/db", *STANDIN], "cannot open the storage"),
        (["--budget", "5.1GFLOPs", "--objective", "nowhere:Nothing"], "there is no objective"),
        (["--budget", "5.1GFLOPs", *STANDIN, "--objective-args", '{"x": 1}'], "does not take the arguments"),
        (["--budget", "5.1GFLOPs", *STANDIN[:2], "--ray-address", "here"], "auto or the HOST:PORT"),
        (["--budget", "5.1GFLOPs", *STANDIN[:2], "--ray-address", "ray://h:1"], "auto or the HOST:PORT"),
        (["--budget", "5.1GFLOPs", *STANDIN[:2], "--ray-address", "127.0.0.1:1"], "no Ray cluster answers"),
        (["--budget", "5.1GFLOPs", "--min-depth", "9", "--max-depth", "2"], "no depth left"),
        (["--resume"], "holds no search"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_sentence_and_nothing_is_written(capsys, argv, words):
    assert words in refuse(capsys, *argv)


def test_a_place_where_no_folder_can_be_made_is_a_wrong_request(capsys, monkeypatch):
    def forbidden(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    text = refuse(capsys, "--budget", "5.1GFLOPs", *STANDIN)
    assert text == "nas.search: --out never cannot be made (Permission denied): choose another\n"


def test_a_data_folder_that_is_missing_or_lacks_a_part_is_named(capsys, tiny_copy):
    assert "nodata" in refuse(capsys, "--budget", "5.1GFLOPs", "--data", "nodata")
    (tiny_copy / "resources" / "projection_matrix.txt").unlink()
    assert "projection_matrix" in refuse(capsys, "--budget", "5.1GFLOPs", "--data", str(tiny_copy))


def test_lists_that_name_absent_files_are_refused_with_how_many(capsys, tiny_copy):
    people = [tiny_copy / "image" / name for name in ("0101", "0102")]  # of the training list
    for image in sorted(image for person in people for image in person.rglob("*.jpg"))[:9]:
        image.unlink()
    text = refuse(capsys, "--budget", "5.1GFLOPs", "--data", str(tiny_copy))
    assert "the train list of" in text and "names 9 files that are not there" in text


class Holed(Standin):
    """The stand-in, as if one row of its data had been left out."""

    def facts(self, proxy, *, progress=False):
        return dataclasses.replace(
            super().facts(proxy), images=29, left_out=("0101/a/7: 7_ar.jpg is missing",)
        )


def test_rows_left_out_are_said_once_and_recorded_even_where_progress_is_off(capsys, tmp_path):
    argv = [*SMALL, "--objective", "test_search:Holed", "--launcher", "inprocess", "--trials", "1"]
    assert search.main([*argv, "--quiet", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("left out 1 of 30 train samples that are missing or damaged (0101/a/7: 7_ar.jpg")
    assert said.count("\n") == 1
    assert search.main(["--resume", "--quiet", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err == ""
    data = RunDir(tmp_path / "run").read()["data"]
    assert data["left_out"] == 1 and data["left_out_rows"] == ["0101/a/7: 7_ar.jpg is missing"]


def test_the_data_of_a_search_names_the_rows_that_its_crops_lack(tiny_copy, monkeypatch, tmp_path):
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "cache"))
    image = min((tiny_copy / "image" / "0101").rglob("*.jpg"))
    image.unlink()
    proxy = Proxy("tiny", resolution=32, epochs=1, batch=8, lr=0.1)
    facts = ProxyTraining(str(tiny_copy), device="cpu").facts(proxy)
    assert facts.images == 29 and len(facts.left_out) == 1
    assert facts.left_out[0].endswith(f": {image.name} is missing")


def test_data_of_one_person_or_with_much_damage_is_refused(capsys, tiny_copy):
    data = ["--budget", "5.1GFLOPs", "--data", str(tiny_copy), "--proxy", "mini", "--quiet"]
    for image in list((tiny_copy / "image").rglob("*.jpg")):
        image.write_bytes(b"\xff\xd8 broken")
    assert "are missing or damaged" in refuse(capsys, *data, "--launcher", "inprocess")
    rows = tiny_copy / "list" / "WCPA_track2_train.csv"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:7]))
    assert "needs two subjects or more, the data has 1" in refuse(capsys, *data)


def test_data_that_does_not_fill_a_batch_is_a_wrong_request_and_not_failed_trials(capsys, tiny_copy):
    data = ["--budget", "5.1GFLOPs", "--data", str(tiny_copy), "--quiet", "--launcher", "inprocess"]
    assert "training images do not fill one batch of 32" in refuse(capsys, *data, "--proxy", "mini")


def test_a_file_in_the_place_of_the_run_directory_is_named(capsys):
    Path("taken").write_text("mine")
    for out in ("taken", "taken/run"):
        assert search.main(["--budget", "5.1GFLOPs", *STANDIN, "--out", out]) == 2
        assert "taken is a file" in (text := capsys.readouterr().err) and text.count("\n") == 1


def test_resume_without_any_run_says_so(capsys):
    assert search.main(["--resume"]) == 2
    assert "no search under runs/ to resume" in capsys.readouterr().err


@pytest.fixture
def done(tmp_path, capsys):
    out = tmp_path / "run"
    argv = [*SMALL, *STANDIN, "--trials", "4", "--out", str(out)]
    assert search.main(argv) == 0
    return out, capsys.readouterr(), argv


def test_a_search_ends_with_a_table_of_rank_architecture_gflops_error_control_and_baseline(done):
    lines = done[1].out.splitlines()
    heads = "rank architecture GFLOPs params activ. ms L_error, mm runs may be best"
    assert " ".join(lines[0].split()) == heads
    assert any("control" in line and "±" in line for line in lines)
    assert any("mean face for every image (baseline)" in line and "154.00" in line for line in lines)
    assert any("against the control" in line and "95 % bounds" in line for line in lines)


def test_the_best_specs_are_written_with_scores_and_provenance(done):
    spec = json.loads((done[0] / "best" / "best.json").read_text())
    assert set(spec["arch"]) == {"block", "depths", "widths"}
    assert spec["trials"] and spec["l_error_mm"]["runs"] and spec["control"]["name"] == "resnet34-scaled"
    assert (done[0] / "best" / f"{spec['id']}.json").exists() or spec["id"] not in spec["tied"]


def test_run_json_says_what_was_asked_and_with_what(done):
    about = RunDir(done[0]).read()
    assert about["command"].startswith("python -m nas.search --budget 0.5GFLOPs")
    for key in ("config", "seed", "versions", "commit", "data", "hardware", "baseline_l_error_mm", "proxy",
                "space", "budget", "feasible", "resources"):  # fmt: skip
        assert about[key] is not None or key == "commit"


def test_what_a_trial_holds_is_recorded_and_again_where_a_resumed_search_changes_it(capsys, done):
    (first,) = RunDir(done[0]).read()["resources"]
    assert (first["gpus"], first["launcher"]) == (0.0, "inprocess") and first["cpus"] >= 1
    for cpus in ("2.5", "2.5"):
        more = ["--resume", "--out", str(done[0]), "--trials", "5", "--cpus-per-trial", cpus]
        assert search.main(more) == 0
    again, changed = RunDir(done[0]).read()["resources"]
    assert again == first and changed["cpus"] == 2.5 and changed["since"] > first["since"]
    latest = max(r.seconds for r in Store.open(done[0]).records() if r.started > changed["since"])
    capsys.readouterr()
    assert status.main([str(done[0]), "--json"]) == 0
    hours = json.loads(capsys.readouterr().out)["device_hours"]
    assert hours >= 2.5 * latest / 3600


def test_a_directory_that_holds_a_search_is_refused_and_resume_is_named(capsys, done):
    assert search.main(done[2]) == 2
    assert "already holds a search" in (text := capsys.readouterr().err) and "--resume --out" in text


def test_resume_of_a_finished_search_trains_nothing_and_answers_again(capsys, done):
    before = Store.open(done[0]).records()
    assert search.main(["--resume", "--out", str(done[0])]) == 0
    assert capsys.readouterr().out == done[1].out
    assert Store.open(done[0]).records() == before


def test_resume_without_a_trial_in_the_store_says_that_it_begins_anew(capsys, done):
    (done[0] / "study.log").unlink()
    assert search.main(["--resume", "--out", str(done[0])]) == 0
    assert "the store holds no trial yet" in capsys.readouterr().err
    assert search.main(["--resume", "--out", str(done[0])]) == 0
    assert "the store holds no trial yet" not in capsys.readouterr().err


def test_resume_may_ask_for_more_trials_but_not_for_another_search(capsys, done):
    assert search.main(["--resume", "--out", str(done[0]), "--strategy", "gp"]) == 2
    assert "--strategy cannot change on --resume" in capsys.readouterr().err
    saved = SearchConfig("5.1GFLOPs", storage="postgresql://me:secret@host/db")
    with pytest.raises(ValueError, match="has 'postgresql://me@host/db'; start a new run"):
        to_resumed(Namespace(storage="postgresql://other/db"), saved)
    run_json = (done[0] / "run.json").read_text()
    (done[0] / "run.json").write_text("{}")
    assert search.main(["--resume", "--out", str(done[0])]) == 2
    assert "holds no settings of a search" in capsys.readouterr().err
    (done[0] / "run.json").write_text(run_json)
    assert search.main(["--resume", "--out", str(done[0]), "--trials", "6", "--quiet"]) == 0
    assert len([r for r in Store.open(done[0]).records() if r.role == "proposal"]) == 6
    assert capsys.readouterr().err == ""
    assert RunDir(done[0]).read()["config"]["trials"] == 6


def test_a_database_file_is_found_from_elsewhere_and_missed_where_it_is_gone(capsys, tmp_path, monkeypatch):
    run, argv = tmp_path / "run", [*SMALL, *STANDIN, "--trials", "2", "--storage", "sqlite:///here.db"]
    assert search.main([*argv, "--out", str(run)]) == 0
    before = Store.open(run).records()
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert search.main(["--resume", "--out", str(run)]) == 0
    assert Store.open(run).records() == before and not list(Path().iterdir())
    (tmp_path / "here.db").rename("moved.db")
    capsys.readouterr()
    assert search.main(["--resume", "--out", str(run)]) == 2
    assert "here.db, which is not there: put it back" in capsys.readouterr().err
    assert not (tmp_path / "here.db").exists()


def test_a_longer_race_has_the_same_name_after_a_resume(capsys, tmp_path):
    out = ["--out", str(tmp_path / "race")]
    (tmp_path / "three.json").write_text('{"epochs": 3, "evaluations": 0}')
    argv = [*SMALL, *STANDIN, "--trials", "2", "--race-epochs", "1.5", "--proxy", "three.json", *out]
    assert search.main(argv) == 0
    before = Store.open(tmp_path / "race").records()
    (tmp_path / "three.json").unlink()
    assert search.main(["--resume", *out]) == 0
    assert Store.open(tmp_path / "race").records() == before
    assert {r.curve[-1][0] for r in before} == {3.0, 5.0}


def test_resume_without_out_takes_the_newest(capsys):
    assert search.main([*SMALL, *STANDIN, "--trials", "2"]) == 0
    (run,) = Path("runs").iterdir()
    assert search.main(["--resume"]) == 0
    assert f"python -m nas.status {run}" in capsys.readouterr().out


def test_third_parties_write_to_the_log_and_not_to_the_terminal(done):
    assert "A new study created" in (done[0] / "log.txt").read_text()
    assert "study" not in done[1].err and "Warning" not in done[1].err


def test_status_counts_and_names_and_reads_while_nobody_writes(capsys, done):
    assert status.main([str(done[0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        found["complete"] == len(Store.open(done[0]).records()) and found["running"] == found["failed"] == 0
    )
    assert found["best"]["arch"] and found["best"]["l_error_mm"] > 0
    assert len(found["control"]["l_error_mm"]) == 3 and found["tied"] and found["active"] is False
    assert status.main([str(done[0])]) == 0
    assert "not running" in capsys.readouterr().out


def test_status_of_no_search_is_a_sentence(capsys, tmp_path):
    assert status.main([str(tmp_path)]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(capsys, monkeypatch):
    from nas.search import forecast

    monkeypatch.setattr(forecast, "seconds_per_step", lambda plan, device: 0.5)
    before = set(Path().iterdir())
    argv = [
        "--budget",
        "5.1GFLOPs",
        "--launcher",
        "inprocess",
        "--trials",
        "20",
        "--dry-run",
        "--out",
        "never",
    ]
    assert search.main(argv) == 0
    assert set(Path().iterdir()) == before
    text = capsys.readouterr().out
    for word in ("20 proposals", "hours", "memory", "disk", "nothing was trained"):
        assert word in text
    faces = {"subjects": 5, "frames": 2, "size": 96, "seed": 0}
    Path("few.json").write_text(json.dumps({"synthetic": faces}))
    assert search.main([*argv, "--proxy", "few.json"]) == 2
    assert capsys.readouterr().err.startswith("nas.search: 8 training images do not fill one batch of 32")


def test_an_error_inside_is_a_sentence_with_where_the_log_is(capsys, monkeypatch):
    from nas.trials import inprocess

    def broken(*arguments, **settings):
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(inprocess, "run_all", broken)
    assert search.main([*SMALL, *STANDIN, "--out", "run"]) == 1
    text = capsys.readouterr().err
    assert "the search stopped: the sky fell" in text and "run/log.txt" in text and "--resume" in text
    assert "Traceback" in Path("run/log.txt").read_text() and "Traceback" not in text


def test_a_search_in_which_every_proposal_fails_is_status_1_with_the_commonest_reason(capsys):
    given = [*SMALL, *STANDIN, "--objective-args", '{"fail": 1.0}', "--trials", "3", "--out", "run"]
    assert search.main(given) == 1
    text = capsys.readouterr().err
    assert "none of 3 proposals finished; the commonest reason:" in text and "--resume" in text
    assert not Path("run/best").exists()


def test_ctrl_c_is_status_130_with_how_to_resume(capsys, monkeypatch):
    import signal

    from nas.trials.standin import Standin

    real = Standin.run

    def interrupted(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, *arguments)

    monkeypatch.setattr(Standin, "run", interrupted)
    assert search.main([*SMALL, *STANDIN, "--out", "run"]) == 130
    assert "go on with: python -m nas.search --resume --out run" in capsys.readouterr().err
    monkeypatch.setattr(Standin, "run", real)
    assert search.main(["--resume", "--out", "run"]) == 0


def test_a_second_search_in_a_directory_is_refused_with_who_holds_it(capsys, done):
    with RunDir(done[0]).locked():
        assert search.main(["--resume", "--out", str(done[0])]) == 2
    text = capsys.readouterr().err
    assert "a search is already running in" in text and "process " in text and text.count("\n") == 1


CTRL_C = """
import os, signal
from nas.search.interrupts import Interrupts
interrupts = Interrupts()
with interrupts.caught():
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGINT)
    print("still here", interrupts.pending)
"""


@pytest.mark.parametrize(("times", "status", "printed"), [(1, 0, "still here True\n"), (2, 130, "")])
def test_the_first_ctrl_c_waits_for_a_safe_moment_and_the_second_does_not(times, status, printed):
    code, root = CTRL_C.format(times=times), str(Path(search.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (status, printed, "")


def test_on_a_terminal_one_bar_says_how_it_is_going(tmp_path):
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 160))
    root = Path(search.__file__).parents[2]
    command = [
        sys.executable,
        "-m",
        "nas.search",
        *SMALL,
        *STANDIN,
        "--trials",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, cwd=root)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(screen, 4096):
            shown += part
    table, _ = process.communicate()
    os.close(screen)
    assert process.returncode == 0 and b"rank" in table
    last = shown.decode().replace("\r\n", "\n").rstrip("\n").rpartition("\r")[2]
    assert "%|" in last and "best" in last and "control" in last and "\n" not in shown.decode().strip()


@pytest.mark.parametrize("module", ["nas.search", "nas.status"])
def test_help_imports_nothing_heavy(module):
    code = (
        f"import sys, runpy\nsys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('{module}', run_name='__main__')\nexcept SystemExit: pass\n"
        "heavy = ('torch', 'ray', 'optuna', 'pandas', 'scipy', 'matplotlib', 'cv2')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    root = str(Path(search.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_space_may_not_change_on_resume_but_may_be_said_again(capsys, done):
    assert search.main(["--resume", "--out", str(done[0]), "--max-depth", "7"]) == 2
    text = capsys.readouterr().err
    assert "the space cannot change on --resume" in text and "'max_depth': 6" in text
    assert search.main(["--resume", "--out", str(done[0]), "--max-depth", "6,6,6,6"]) == 0
