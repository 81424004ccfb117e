"""Runs, sweeps and their pages, by the command and the toy pipeline."""

import json
import signal

import pytest

from lmexp import cli
from lmexp.analysis.report import report_at_end
from lmexp.core.records.runs import Run, find_run, list_runs
from lmexp.core.records.sweeps import find_sweep, sweep_names
from lmexp.core.store.store import Store

from ..conftest import wait_until


@pytest.fixture
def lmexp(capsys):
    def call(*words):
        code = cli.main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_sweep_is_recorded_with_its_points_and_gets_a_page(command, lmexp):
    words = ["-m", "numbers.count=3,4", "total.power=1,2"]
    done = command.run(*words)
    assert done.returncode == 0, done.stderr
    store = Store(command.store)
    (name,) = sweep_names(store)
    sweep = find_sweep(store, name)
    assert [point.overrides[-2:] for point in sweep.points] == [
        (f"numbers.count={count}", f"total.power={power}") for count in (3, 4) for power in (1, 2)
    ]
    assert [point.run.metrics["total/sum"] for point in sweep.points] == [3, 5, 6, 14]
    assert sweep.data["num_points"] == 4
    assert sweep.data["command"][-3:] == [f"store={command.store}", *words[1:]]
    assert f"sweep report: {sweep.path / 'report.html'}" in done.stdout
    page = (sweep.path / "report.html").read_bytes()
    for run in list_runs(store):
        assert f"../../runs/{run.name}/report.html".encode() in page
        assert run.data["command"][-2:] == [
            *next(p for p in sweep.points if p.run.name == run.name).overrides[-2:]
        ]

    alone = command.run("numbers.count=3", "total.power=2")  # now part of no sweep, but still of this one
    assert alone.returncode == 0
    assert len(find_sweep(store, name).points) == 4
    code, out, _ = lmexp("report", "--sweep", name, f"store={command.store}")
    assert (code, out) == (0, f"{sweep.path / 'report.html'}\n")
    assert b"total/sum over each parameter" in page


def test_a_point_that_fails_is_on_the_page_of_its_sweep_with_its_sentence(command):
    done = command.run("-m", "total.fail_at=3", "numbers.count=5,2,0")
    assert done.returncode == 2
    store = Store(command.store)
    (name,) = sweep_names(store)
    page = (store.root / "sweeps" / name / "report.html").read_text()
    assert "the toy was told to fail" in page
    assert "there are no numbers; raise numbers.count." in page
    assert {point.run.status for point in find_sweep(store, name).points} == {"done", "failed"}


def test_a_failed_run_has_a_page_with_its_sentence_and_its_curve(command):
    done = command.run("total.fail_at=3")
    assert done.returncode == 1
    run = find_run(Store(command.store), "last")
    page = (run.path / "report.html").read_text()
    assert "This run failed." in page
    assert "the toy was told to fail" in page
    assert "Curves of total" in page
    assert str(run.path / "report.html") in done.stderr
    assert run.data["current"]["name"] == "total"


def test_a_page_that_cannot_be_written_is_one_line_and_the_run_goes_on(store, capsys):
    run = Run(path=store.runs / "gone", data={"run": "gone", "status": "done"})
    report_at_end(run)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lmexp: the report of gone could not be written (")


def test_what_lies_where_a_page_belongs_is_moved_out_of_its_way(command):
    assert command.run().returncode == 0
    run = find_run(Store(command.store), "last")
    for name in ("report.html", "run.json", "invocations.jsonl"):
        (run.path / name).unlink()
        (run.path / name).mkdir()
    done = command.run()
    assert done.returncode == 0
    assert "could not be written" not in done.stderr
    assert (run.path / "report.html").is_file()
    assert find_run(Store(command.store), "last").status == "done"


def test_report_writes_the_same_bytes_again_and_names_the_nearest(command, lmexp):
    assert command.run("numbers.count=4").returncode == 0
    run = find_run(Store(command.store), "last")
    page = run.path / "report.html"
    before = page.read_bytes()
    page.unlink()
    store = f"store={command.store}"
    assert lmexp("report", "last", store) == (0, f"{page}\n", "")
    assert page.read_bytes() == before
    page.unlink()
    assert lmexp("report", store) == (0, f"{page}\n", "")
    assert page.read_bytes() == before
    code, _, err = lmexp("report", f"{run.name}x", store)
    assert (code, f"did you mean {run.name!r}" in err) == (2, True)
    code, _, err = lmexp("report", "--sweep", "none", store)
    assert (code, "has no sweep 'none'" in err) == (2, True)


def test_a_page_whose_artifacts_are_gone_is_kept_and_one_that_is_not_there_is_written(command, lmexp):
    assert command.run("numbers.count=4").returncode == 0
    first = find_run(Store(command.store), "last")
    assert command.run("numbers.count=5").returncode == 0
    second = find_run(Store(command.store), "last")
    page, store = first.path / "report.html", f"store={command.store}"
    before = page.read_bytes()
    assert b"Curves of total" in before
    assert lmexp("gc", "--keep", second.name, "--delete", store)[0] == 0
    line = (
        f"{first.name}: kept as it was, since {first.stages['numbers']['artifact']} is no longer in the store"
    )
    assert lmexp("report", first.name, store) == (0, f"{line}\n", "")
    assert page.read_bytes() == before
    assert lmexp("report", second.name, store) == (0, f"{second.path / 'report.html'}\n", "")
    page.unlink()
    assert lmexp("report", first.name, store) == (0, f"{page}\n", "")
    assert "no longer in the store" in page.read_text()


def test_a_run_records_its_command_and_what_it_changes_of_its_experiment(command):
    assert command.run("numbers.count=4", "++total.step_s=0.001").returncode == 0
    data = json.loads((find_run(Store(command.store), "last").path / "run.json").read_text())
    flags = ["--config-dir", "configs", "--config-name", "toy"]
    words = [f"store={command.store}", "numbers.count=4", "++total.step_s=0.001"]
    assert data["command"] == ["python", "-m", "lmexp.run", *flags, *words]
    assert data["changes"] == {"numbers.count": [5, 4], "total.step_s": [0.0, 0.001]}
    assert command.run("tracking.mode=off").returncode == 0
    data = json.loads((find_run(Store(command.store), "last").path / "run.json").read_text())
    assert data["changes"] == {}


def test_an_interrupted_run_has_a_page_that_says_how_to_go_on(command):
    process = command.start("total.step_s=0.3", "numbers.count=50")
    wait_until(lambda: any(command.store.glob("scratch/*/*/metrics.jsonl")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 75
    run = find_run(Store(command.store), "last")
    page = (run.path / "report.html").read_text()
    assert "This run was interrupted; its command goes on from there." in page
    assert "Curves of total" in page
