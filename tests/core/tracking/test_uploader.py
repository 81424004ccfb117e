import json
import os
import signal
import socket

import pytest

from lmexp.core.records.runs import list_runs
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_lines

from ..conftest import processes_of, wait_until
from .wandb_file import read_records


def recording(run):
    """Return all records of the run's only wandb file."""
    files = list(run.path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 1
    return list(read_records(files[0]))


def keyed(items):
    """Return key (dotted for nested ones) to value of a list of wandb items."""
    return {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


@pytest.fixture(scope="module")
def records(finished):
    return recording(finished[1])


def test_the_offline_file_holds_the_configuration(finished, records):
    _, run, _ = finished
    (started,) = [r.run for r in records if r.HasField("run")][:1]
    assert (started.run_id, started.run_group, started.project) == (run.name, "tiny", "lmexp")
    config = keyed(started.config.update)
    assert config["model"] == run.data["config"]["model"]
    assert config["seed"] == 0


def test_the_offline_file_holds_every_point_of_the_curve(finished, records):
    _, run, _ = finished
    rows = [keyed(r.history.item) for r in records if r.HasField("history")]
    curve = list(read_lines(run.artifact("pretrain") / "metrics.jsonl"))
    sent = [(row["pretrain/step"], row["pretrain/train/loss"]) for row in rows if "pretrain/step" in row]
    assert sent == [(point["step"], point["train/loss"]) for point in curve]


def test_the_offline_file_holds_all_metrics_as_the_summary(finished, records):
    _, run, _ = finished
    summary = {}
    for record in records:
        if record.HasField("summary"):
            summary |= keyed(record.summary.update)
    assert {key: summary[key] for key in run.metrics} == pytest.approx(run.metrics)


def test_the_offline_file_holds_tables_and_the_page_of_the_report(first_finished, finished, records):
    _, run, _ = finished
    last = [keyed(r.history.item) for r in records if r.HasField("history")][-1]
    names = {"stages", "metrics", "samples", "perplexity/test"}
    assert {f"tables/{name}.path" for name in names} <= set(last)
    (page,) = run.path.glob(f"wandb/offline-run-*/files/{last['report.path']}")
    written = (first_finished / "store" / "runs" / run.name / "report.html").read_bytes()
    same = page.read_bytes() == written  # where they differ, a comparison line by line would take minutes
    assert same


def test_the_offline_file_holds_one_artifact_a_stage_with_its_fingerprint_and_inputs(finished, records):
    _, run, _ = finished
    requests = [r.request.log_artifact.artifact for r in records if r.request.HasField("log_artifact")]
    artifacts = {a.name: a for a in [*requests, *[r.artifact for r in records if r.HasField("artifact")]]}
    assert set(run.stages) <= set(artifacts)
    for name, entry in run.stages.items():
        assert entry["fingerprint"][:12] in artifacts[name].aliases
    metadata = json.loads(artifacts["tokenizer"].metadata)
    assert metadata["inputs"] == {"corpus": run.stages["corpus"]["fingerprint"]}


def test_a_run_that_was_mirrored_is_not_mirrored_again(command):
    overrides = ["tracking.mode=offline"]
    assert command.run(*overrides).returncode == 0
    (run,) = list_runs(Store(command.store))
    before = os.stat(next(run.path.glob("wandb/offline-run-*/run-*.wandb"))).st_mtime_ns
    assert command.run(*overrides).returncode == 0
    assert os.stat(next(run.path.glob("wandb/offline-run-*/run-*.wandb"))).st_mtime_ns == before


def test_a_killed_and_resumed_run_is_one_recording_with_an_unbroken_curve(command):
    overrides = ["tracking.mode=offline", "numbers.count=30"]
    process = command.start(*overrides, "total.step_s=0.2")
    wait_until(lambda: list(command.store.glob("scratch/*/*/work/checkpoints/step-000000[1-9]*.ckpt")), 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not processes_of(command.directory))
    assert command.run(*overrides).returncode == 0
    (run,) = list_runs(Store(command.store))
    assert run.stages["total"]["action"] == "resumed"
    rows = [keyed(r.history.item) for r in recording(run) if r.HasField("history")]
    assert [row["total/step"] for row in rows if "total/step" in row] == list(range(1, 31))


def test_an_unreachable_server_neither_stops_nor_slows_the_run(command, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    done = command.run("tracking.mode=online")
    assert done.returncode == 0, done.stderr
    assert "the wandb server did not answer; recorded offline, upload it with: " in done.stdout
    (run,) = list_runs(Store(command.store))
    assert any(r.HasField("exit") for r in recording(run))


def test_a_server_that_accepts_and_never_answers_costs_no_more_than_the_timeout(command, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        done = command.run("tracking.mode=online", "tracking.finish_timeout_s=3")
    assert done.returncode == 0, done.stderr
    assert " lmexp sync" in done.stdout
    (run,) = list_runs(Store(command.store))
    assert any(r.HasField("exit") for r in recording(run))


def test_no_secret_reaches_a_record(command, monkeypatch):
    key = "5ec2e7" * 6 + "abcd"
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert command.run("tracking.mode=offline").returncode == 0
    for path in command.store.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


def test_four_processes_of_one_run_make_one_recording(command):
    processes = [command.start("tracking.mode=offline", "total.step_s=0.1") for _ in range(4)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert " lmexp sync" in out
    (run,) = list_runs(Store(command.store))
    assert any(r.HasField("exit") for r in recording(run))


def test_a_run_that_joins_a_sweep_later_joins_its_group(command):
    assert command.run("tracking.mode=offline", "numbers.count=3").returncode == 0
    done = command.run("-m", "tracking.mode=offline", "numbers.count=3,4")
    assert done.returncode == 0, done.stderr
    runs = list_runs(Store(command.store))
    groups = {next(r.run.run_group for r in recording(run) if r.HasField("run")) for run in runs}
    assert len(runs) == 2
    assert groups == {runs[0].data["group"]}
    assert "-sweep-" in runs[0].data["group"]
