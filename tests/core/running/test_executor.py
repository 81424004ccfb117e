import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmexp.core.records.runs import list_runs, read_invocations
from lmexp.core.records.verification import verify_store
from lmexp.core.running.executor import execute
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_json, read_lines
from lmexp.core.values.sealed import write_sealed
from lmexp.core.values.settings import ExecutorConfig
from lmexp.errors import (
    DataError,
    Diverged,
    Interrupted,
    LeaseLost,
    StageError,
    StoreError,
    VerificationError,
)
from lmexp.run import _Runner

from ..conftest import Silent, processes_of, wait_until


def test_stages_run_once_and_are_reused(run_toy):
    actions, records = run_toy(total={"power": 2})
    assert actions == {"numbers": "ran", "total": "ran"}
    assert (records["total"].path / "total.txt").read_text() == str(0 + 1 + 4 + 9 + 16)
    assert run_toy(total={"power": 2})[0] == {"numbers": "reused", "total": "reused"}


def test_the_record_says_what_made_the_artifact(run_toy):
    _, records = run_toy()
    data = records["total"].data
    assert data["inputs"]["numbers"]["fingerprint"] == records["numbers"].fingerprint
    assert data["identity"] == {"power": 1}
    assert data["config"]["step_s"] == 0.0
    assert data["metrics"] == {"sum": 10}
    assert data["world_size"] == 1
    assert data["status"] == "complete"
    assert set(data["files"]) == {"total.txt", "metrics.jsonl"}
    assert [p["step"] for p in read_lines(records["total"].path / "metrics.jsonl")] == [1, 2, 3, 4, 5]


def test_scratch_is_empty_after_success(run_toy, store):
    run_toy()
    assert list((store.root / "scratch").glob("*")) == []


def test_an_error_that_a_stage_reports_is_the_users_and_nothing_is_published(run_toy, store):
    with pytest.raises(DataError, match=r"numbers: there are no numbers; raise numbers\.count"):
        run_toy(numbers={"count": 0})
    assert store.records() == []


def test_a_crash_is_a_stage_error_with_its_traceback_and_log(run_toy):
    with pytest.raises(
        StageError, match=r"total: \S+toy\.py:\d+: ValueError: the toy was told to fail"
    ) as error:
        run_toy(total={"fail_at": 2})
    assert "toy.py" in "".join(error.value.__notes__)
    assert "the toy was told to fail" in error.value.log.read_text()
    said = read_lines(error.value.log.with_name("said.jsonl"))
    assert [line["text"] for line in said] == ["adds 5 numbers"]


def test_a_training_that_diverged_is_told_apart_from_a_failure_that_another_try_may_pass(run_toy, capsys):
    with pytest.raises(Diverged, match="total: the toy's sum is infinite; lower total"):
        run_toy(total={"diverge_at": 2})
    assert _Runner([]).report(Diverged("it diverged.")) == 1
    assert "To resume" not in capsys.readouterr().err
    assert _Runner([]).report(StageError("it failed.")) == 1
    assert "To resume" in capsys.readouterr().err


def test_a_failed_stage_resumes_from_its_checkpoint_with_one_unbroken_curve(run_toy):
    with pytest.raises(StageError):
        run_toy(total={"fail_at": 3})
    actions, records = run_toy()
    assert actions == {"numbers": "reused", "total": "resumed"}
    curve = list(read_lines(records["total"].path / "metrics.jsonl"))
    assert [(p["step"], p["sum"]) for p in curve] == [(1, 0), (2, 1), (3, 3), (4, 6), (5, 10)]
    segments = records["total"].data["segments"]
    assert [s["from_step"] for s in segments] == [0, 3]
    for key in ("seconds", "cpu_seconds"):
        assert all(s[key] > 0 for s in segments)
        assert records["total"].data[key] == pytest.approx(sum(s[key] for s in segments), abs=0.01)


def test_force_computes_again_and_keeps_an_identical_artifact(run_toy, store):
    _, before = run_toy()
    actions, after = run_toy(force=["numbers"])
    assert actions == {"numbers": "ran", "total": "reused"}
    assert before["numbers"].data["started"] == after["numbers"].data["started"]
    assert not (store.root / "trash").exists()


def test_a_damaged_input_is_refused_and_force_mends_it(run_toy, store):
    _, records = run_toy()
    path = records["numbers"].path / "numbers.json"
    path.write_text(path.read_text().replace("4", "5"))
    with pytest.raises(VerificationError, match=r"numbers\.json has other bytes.*force=\[numbers\]"):
        run_toy(total={"power": 2})
    actions, records = run_toy(force=["numbers"], total={"power": 2})
    assert actions == {"numbers": "ran", "total": "ran"}
    assert store.problems(records["numbers"]) == []


def test_a_holder_that_lost_its_lease_stops_and_publishes_nothing(plan_toy, store, monkeypatch):
    plan = plan_toy(numbers={"sleep_s": 30.0})
    leases = store.leases(plan.stages[0].fingerprint)
    stolen = []

    class Thief(Silent):
        def tick(self):
            if not stolen:
                who = {"host": "another", "boot": "b", "pid": 1, "started": "1"}
                write_sealed(leases / "0002.json", who)
                stolen.append(time.monotonic())

        def lost(self, message):
            raise LeaseLost(message)

    with pytest.raises(LeaseLost, match="numbers was taken over by process 1 on another"):
        execute(plan, store, ExecutorConfig(), Thief())
    assert time.monotonic() - stolen[0] < 10, "the child was killed, not waited for"
    assert store.records() == []


def test_a_full_disk_is_one_sentence(run_toy, store, monkeypatch):
    full = dataclasses.make_dataclass("Usage", ["free"])(0)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: full)
    with pytest.raises(StoreError, match=r"disk of the store .* is full"):
        run_toy(total={"fail_at": 2})


def test_ctrl_c_saves_and_the_same_command_goes_on(command):
    process = command.start("total.step_s=0.1", "numbers.count=30")
    wait_until(lambda: list(command.store.glob("scratch/*/*/work/checkpoints/step-0000000[3-9].ckpt")))
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "stopped in total; the same command goes on from there" in err
    assert f"To resume: {sys.executable} -m lmexp.run --config-dir configs" in err
    assert "Traceback" not in err
    assert command.run("total.step_s=0.0", "numbers.count=30").returncode == 0
    run = read_json(next(command.store.glob("runs/*/run.json")))
    assert run["stages"]["total"]["action"] == "resumed"
    outcomes = [
        json.loads(line)["outcome"] for line in next(command.store.glob("runs/*/invocations.jsonl")).open()
    ]
    assert outcomes == ["interrupted", "done"]


@pytest.mark.parametrize("victim", ["parent", "group", "child"])
def test_a_killed_run_leaves_no_process_and_no_half_artifact_and_completes_when_repeated(command, victim):
    rng = random.Random(victim)
    for _ in range(3):
        process = command.start("total.step_s=0.05", "numbers.count=20", "numbers.sleep_s=0.2")
        time.sleep(rng.uniform(0.2, 2.0))
        kill(process, victim, command.directory)
        process.communicate(timeout=30)
        wait_until(lambda: not processes_of(command.directory))
        for path in command.store.glob("artifacts/*/*"):
            assert (path / "artifact.json").exists()
    done = command.run("numbers.count=20")
    assert done.returncode == 0, done.stderr
    assert next(command.store.glob("artifacts/toy_total/*/total.txt")).read_text() == str(sum(range(20)))


def kill(process: subprocess.Popen[str], victim: str, directory: Path) -> None:
    if victim == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "parent":
        os.kill(process.pid, signal.SIGKILL)
    else:
        for child in [
            p for p in processes_of(directory) if "lmexp.core.running.worker" in " ".join(p.cmdline())
        ]:
            os.kill(child.pid, signal.SIGKILL)


def test_a_stop_is_not_lost_while_stages_are_reused(run_toy, plan_toy, store):
    run_toy()

    class Stopping(Silent):
        def finished(self, name, record, action):
            super().finished(name, record, action)
            os.kill(os.getpid(), signal.SIGINT)

    observer = Stopping()
    with pytest.raises(Interrupted, match="the same command goes on"):
        execute(plan_toy(), store, ExecutorConfig(), observer)
    assert observer.actions == {"numbers": "reused"}


@pytest.mark.parametrize("count", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_of_several_that_start_at_once_one_computes_each_stage(command, count):
    processes = [command.start("numbers.sleep_s=0.3", "total.step_s=0.05") for _ in range(count)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    lines = read_invocations(next(command.store.glob("runs/*")))
    assert len(lines) == count
    for name in ("numbers", "total"):
        assert sorted(line["stages"][name] for line in lines) == ["ran", *["reused"] * (count - 1)]
    assert verify_store(Store(command.store)).problems == ()


def test_a_waiter_takes_over_when_the_holder_is_killed(command):
    holder = command.start("numbers.sleep_s=30")
    wait_until(lambda: command.computes("toy_numbers"))
    waiter = command.start("numbers.sleep_s=0.1")
    assert any(f"waiting for process {holder.pid}" in line for line in iter(waiter.stderr.readline, ""))
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=10)
    started = time.monotonic()
    _, err = waiter.communicate(timeout=20)
    assert waiter.returncode == 0, err
    assert time.monotonic() - started < 15, "well before the heartbeat would have gone stale"


def test_a_run_whose_process_was_killed_is_not_shown_as_running(command):
    process = command.start("numbers.sleep_s=30")
    wait_until(lambda: command.computes("toy_numbers"))
    (run,) = list_runs(Store(command.store))
    assert run.status == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert run.status == "killed"


def test_killed_while_publishing_a_run_keeps_its_curve(plan_toy, store, monkeypatch):
    plan = plan_toy()

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "publish", die)
    with pytest.raises(KeyboardInterrupt):
        execute(plan_toy(only=["numbers"]), store, ExecutorConfig(), Silent())
    monkeypatch.undo()
    execute(plan_toy(only=["numbers"]), store, ExecutorConfig(), Silent())
    monkeypatch.setattr(Store, "publish", die)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, store, ExecutorConfig(), Silent())
    monkeypatch.undo()
    records = execute(plan, store, ExecutorConfig(), Silent())
    assert [p["step"] for p in read_lines(records["total"].path / "metrics.jsonl")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("old", "new"), [('"sum": 10', '"sum": 90'), ('"files"', '"filez"'), ("{", "")])
def test_a_damaged_record_is_refused_and_force_mends_it(run_toy, store, old, new):
    _, records = run_toy()
    path = records["total"].path / "artifact.json"
    path.write_text(path.read_text().replace(old, new))
    assert "artifact.json is not as it was published" in store.damaged_records()[0]
    with pytest.raises(VerificationError, match=r"force=\[total\]"):
        run_toy()
    actions, records = run_toy(force=["total"])
    assert actions == {"numbers": "reused", "total": "ran"}
    assert records["total"].metrics == {"sum": 10}
    assert store.damaged_records() == []


def test_a_run_that_a_terminal_left_behind_goes_on(command):
    process = subprocess.Popen(
        ["nohup", *command.words("total.step_s=0.05", "numbers.count=20")],
        cwd=command.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(command.store.glob("scratch/*/*/work/checkpoints/step-*.ckpt")))
    os.kill(process.pid, signal.SIGHUP)
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    assert list(command.store.glob("artifacts/toy_total/*/total.txt"))


def test_an_invocation_that_was_killed_is_noted_by_the_next(command):
    process = command.start("numbers.sleep_s=0.1", "total.step_s=30")
    wait_until(lambda: command.computes("toy_total"))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert command.run().returncode == 0
    lines = list(read_lines(next(command.store.glob("runs/*/invocations.jsonl"))))
    assert [line["outcome"] for line in lines] == ["killed", "done"]
    assert [line["stages"].get("numbers") for line in lines] == ["ran", "reused"]
