import json
import random
import shutil
import subprocess
import sys

import pytest

from lmexp.cli import main
from lmexp.core.records.runs import find_run, list_runs
from lmexp.core.store.lease import this_process
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_json, read_lines
from lmexp.core.values.sealed import write_sealed

from ..conftest import Command, processes_of, wait_until
from .wandb_server import KEY, WandbServer

PAGE = "<!doctype html><p>the report of this run</p>"


@pytest.fixture(scope="module")
def uploaded(finished, tmp_path_factory):
    """The finished run, in a copy of its store, after one `lmexp sync`, and what that printed."""
    store = Store(tmp_path_factory.mktemp("uploaded") / "store")
    shutil.copytree(finished[0].root, store.root)
    run = find_run(store, "last")
    with WandbServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", server.url)
        patch.setenv("WANDB_API_KEY", KEY)
        yield server, store, run, sync(store)


def sync(store, *words):
    return subprocess.run(
        [sys.executable, "-m", "lmexp.cli", "sync", f"store={store.root}", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def server(monkeypatch, offline):
    with WandbServer() as made:
        monkeypatch.setenv("WANDB_BASE_URL", made.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield made
        assert not made.errors
        assert not made.unknown


@pytest.fixture(scope="module")
def never_sent(tmp_path_factory):
    """The store of a toy run that was never sent anywhere."""
    made = Command(tmp_path_factory.mktemp("never-sent"))
    assert made.run("tracking.mode=off").returncode == 0
    return made.store


@pytest.fixture
def offline(never_sent, tmp_path, monkeypatch):
    """A copy of that store; no key is set."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    return Store(shutil.copytree(never_sent, tmp_path / "copy"))


def test_sync_says_what_it_uploaded(uploaded):
    _, _, run, done = uploaded
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [f"uploaded   {run.name}", "1 uploaded"]


def test_the_server_has_every_point_of_the_curve_once(uploaded):
    server, _, run, _ = uploaded
    curve = list(read_lines(run.artifact("pretrain") / "metrics.jsonl"))
    rows = [row for row in server.runs[run.name].history if "pretrain/step" in row]
    assert [(row["pretrain/step"], row["pretrain/train/loss"]) for row in rows] == [
        (point["step"], pytest.approx(point["train/loss"])) for point in curve
    ]
    assert [row["_timestamp"] for row in rows] == [point["time"] for point in curve]


def test_the_server_has_all_metrics_as_the_summary_and_the_run_as_finished(uploaded):
    server, _, run, _ = uploaded
    received = server.runs[run.name]
    assert {key: received.summary[key] for key in run.metrics} == pytest.approx(run.metrics)
    assert (received.summary["status"], received.exit_code) == ("done", 0)


def test_the_server_has_the_configuration_the_group_and_the_kind_of_pipeline(uploaded):
    server, _, run, _ = uploaded
    received = server.runs[run.name]
    assert received.config["model"] == run.data["config"]["model"]
    fields = {key: received.fields[key] for key in ("groupName", "jobType", "tags", "displayName")}
    name = run.data["tracking"]["name"]
    wanted = {"groupName": "tiny", "jobType": "pretrain", "tags": ["tiny"], "displayName": name}
    assert fields == wanted
    assert name.startswith("tiny ")
    assert " max_steps=12 " in name


def test_the_server_has_the_experiments_command_and_commit_and_not_the_mirrors(uploaded):
    server, _, run, _ = uploaded
    metadata = json.loads(server.runs[run.name].files["wandb-metadata.json"])
    assert metadata["program"] == "-m lmexp.run"
    assert metadata["args"] == run.data["command"][3:]
    assert metadata["host"] == run.data["process"]["host"]
    record = read_json(run.artifact("pretrain") / "artifact.json")
    git = record["environment"]["git"]
    assert server.runs[run.name].fields.get("commit") == (git and git["commit"])
    assert "lmexp.core.tracking.uploader" not in json.dumps(metadata)


def test_the_server_has_the_lineage_of_the_artifacts(uploaded):
    server, store, run, _ = uploaded
    used = set(server.uses)
    inputs = {
        (run.name, source, run.stages[source]["fingerprint"])
        for entry in run.stages.values()
        for source in read_json(store.root / entry["artifact"] / "artifact.json")["inputs"]
        if source in run.stages
    }
    assert inputs
    assert inputs <= used


def test_the_server_has_one_artifact_a_stage_with_fingerprint_inputs_and_references(uploaded):
    server, store, run, _ = uploaded
    for name, entry in run.stages.items():
        (artifact,) = server.versions(name)
        record = read_json(store.root / entry["artifact"] / "artifact.json")
        assert artifact.kind == entry["stage"]
        assert artifact.metadata["fingerprint"] == entry["fingerprint"]
        assert artifact.metadata["inputs"] == {k: v["fingerprint"] for k, v in record["inputs"].items()}
        assert entry["fingerprint"][:12] in artifact.aliases
        assert {f"{name}/{file}" for file in record["files"]} <= set(artifact.manifest)
        assert all(e["ref"].startswith(run.artifact(name).as_uri()) for e in artifact.manifest.values())


def table(server, run, name):
    """Return the columns and rows of a table, as the last row of the history refers to it."""
    entry = server.runs[run.name].history[-1][f"tables/{name}"]
    data = json.loads(server.runs[run.name].files[entry["path"]])
    return data["columns"], data["data"]


def test_the_server_has_the_rows_of_each_task_as_a_table(uploaded):
    server, _, run, _ = uploaded
    files = list(run.artifact("prompts").glob("*.jsonl"))
    assert files
    for file in files:
        columns, rows = table(server, run, f"prompts/{file.stem}")
        written = list(read_lines(file))
        assert {"id", "prompt", "choices", "gold", "prediction", "acc"} <= set(columns)
        assert [row[columns.index("id")] for row in rows] == [row["id"] for row in written]
        assert [row[columns.index("acc")] for row in rows] == [row["acc"] for row in written]


def test_the_server_has_the_samples_as_a_table(uploaded):
    server, _, run, _ = uploaded
    columns, rows = table(server, run, "samples")
    written = list(read_lines(run.artifact("samples") / "samples.jsonl"))
    assert columns[:2] == ["prompt", "text"]
    assert [tuple(row[:2]) for row in rows] == [(row["prompt"], row["text"]) for row in written]


def test_the_server_has_the_stages_and_metrics_as_tables(uploaded):
    server, _, run, _ = uploaded
    assert [row[0] for row in table(server, run, "stages")[1]] == list(run.stages)
    assert dict(table(server, run, "metrics")[1]) == pytest.approx(run.metrics)


def test_the_server_has_the_report_as_media(uploaded):
    server, _, run, _ = uploaded
    entry = server.runs[run.name].history[-1]["report"]
    assert entry["_type"] == "html-file"
    assert server.runs[run.name].files[entry["path"]] == (run.path / "report.html").read_bytes()


def test_a_run_that_was_uploaded_is_not_uploaded_again(uploaded):
    server, store, run, _ = uploaded
    before = len(server.requests)
    again = sync(store)
    assert again.stdout.splitlines() == [f"unchanged  {run.name}", "1 unchanged"]
    assert len(server.requests) == before
    assert server.runs[run.name].uploads == 1


def test_the_key_is_in_no_file_of_the_store(uploaded):
    _, store, _, done = uploaded
    assert KEY not in done.stdout + done.stderr
    for path in store.root.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_the_server_was_asked_nothing_that_it_does_not_know(uploaded):
    server = uploaded[0]
    assert not server.unknown
    assert not server.errors


def test_an_uploaded_run_leaves_no_recording_and_no_staged_copy_behind(uploaded):
    _, _, run, _ = uploaded
    assert not list(run.path.glob("wandb/offline-run-*"))
    assert not (run.path / "wandb-data").exists()


def points(run):
    """Return the (stage, step) of every row of a curve, in order."""
    return [
        (key.removesuffix("/step"), value)
        for row in run.history
        for key, value in row.items()
        if key.endswith("/step")
    ]


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 10))])
def test_after_five_kills_at_random_moments_every_run_is_there_once_with_every_row(command, server, seed):
    """`lmexp sync` is killed, for good, when the server has had a random number of requests."""
    rng = random.Random(seed)
    counts = iter(range(40, 60))
    expected: dict[str, int] = {}

    def one_more_run() -> None:
        count = next(counts)
        assert command.run("tracking.mode=off", f"numbers.count={count}").returncode == 0
        (name,) = {run.name for run in list_runs(Store(command.store))} - set(expected)
        expected[name] = count

    one_more_run()
    one_more_run()
    kills = 0
    while kills < 5:
        limit = len(server.requests) + rng.randint(1, 40)
        process = start_sync(command.store, list(expected))
        wait_until(lambda limit=limit, p=process: len(server.requests) >= limit or p.poll() is not None, 60)
        if process.poll() is None:
            process.kill()
            kills += 1
        else:  # all of it has arrived: there must be something left to be killed in
            one_more_run()
        process.communicate()
        wait_until(lambda: not processes_of(command.directory))
    done = sync(Store(command.store), *expected)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(server.runs) == set(expected)
    for name, count in expected.items():
        received = server.runs[name]
        assert points(received) == [("total", step) for step in range(1, count + 1)]
        assert len(received.history) == count + 1
        assert not received.changed_lines
        assert received.exit_code == 0
        for entry in received.history[-1].values():
            if isinstance(entry, dict):
                assert entry["path"] in received.files
    for name in ("numbers", "total"):
        assert len(server.versions(name)) == len(expected)


def start_sync(root, names):
    return subprocess.Popen(
        [sys.executable, "-m", "lmexp.cli", "sync", f"store={root}", *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_sync(store, *words):
    """Give the verb in this process; the mirror is a process of its own all the same."""
    return main(["sync", f"store={store.root}", *words])


def test_without_a_key_there_is_one_sentence(offline, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert run_sync(offline, "last") == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "lmexp: no wandb key is set; give `wandb login` once, or set WANDB_API_KEY.\n")


def test_a_server_that_does_not_answer_gives_one_sentence(offline, monkeypatch, capsys):
    with WandbServer() as closed:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://user:secret@{closed.url.removeprefix('http://')}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert run_sync(offline, "last") == 1
    _, err = capsys.readouterr()
    assert (
        err == f"lmexp: the wandb server {closed.url} does not answer; give the command again when it does.\n"
    )


def test_a_server_that_stalls_is_given_up_after_the_timeout(offline, server, capsys):
    server.fail("UpsertBucket", "stall")
    assert run_sync(offline, "last", "timeout_s=5") == 1
    out, _ = capsys.readouterr()
    assert "failed" in out
    assert "did not take it in 5 s" in out


def test_a_key_that_the_server_does_not_know_gives_one_sentence(offline, server, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    assert run_sync(offline, "last") == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 2
    assert out.startswith("failed ")
    assert "f" * 40 not in out + err


def test_rows_that_the_server_refuses_are_noticed_and_arrive_the_next_time(offline, server, capsys):
    server.fail("file_stream", "refuse")
    assert run_sync(offline, "last") == 1
    assert "the server holds 0 of 6 rows" in capsys.readouterr().out
    server.mend()
    assert run_sync(offline, "last") == 0
    (run,) = list_runs(offline)
    assert points(server.runs[run.name]) == [("total", step) for step in range(1, 6)]


def test_files_that_the_server_refuses_are_noticed_and_arrive_the_next_time(offline, server, capsys):
    (run,) = list_runs(offline)
    (run.path / "report.html").write_text(PAGE)
    server.fail("/media/html/", "refuse")
    assert run_sync(offline, "last") == 1
    assert "the server refused 1 of its files" in capsys.readouterr().out
    server.mend()
    assert run_sync(offline, "last") == 0
    received = server.runs[run.name]
    assert received.files[received.history[-1]["report"]["path"]].decode() == PAGE
    assert len(received.history) == 6


def test_a_server_that_breaks_off_once_is_asked_again(offline, server, capsys):
    server.fail("file_stream", "hang-up", times=1)
    server.fail("UpsertBucket", "error", times=1)
    assert run_sync(offline, "last") == 0
    (run,) = list_runs(offline)
    assert points(server.runs[run.name]) == [("total", step) for step in range(1, 6)]


def test_two_that_are_given_at_once_upload_a_run_once(offline, server):
    (run,) = list_runs(offline)
    processes = [start_sync(offline.root, [run.name]) for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert server.runs[run.name].uploads == 1


def test_runs_whose_tracking_was_off_are_uploaded_by_name_only(offline, server, capsys):
    assert run_sync(offline) == 0
    assert capsys.readouterr().out == "no run was tracked\n"
    assert not server.runs


def test_a_misspelt_run_is_named_with_the_nearest_one(offline, capsys):
    (run,) = list_runs(offline)
    assert run_sync(offline, f"{run.name[:-1]}x") == 2
    assert f"(did you mean '{run.name}'?)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "soon", "1e9", "nan"])
def test_a_timeout_must_be_a_sensible_number_of_seconds(offline, capsys, text):
    assert run_sync(offline, f"timeout_s={text}") == 2
    assert "timeout_s must be seconds" in capsys.readouterr().err


def test_a_run_that_goes_on_is_left_alone(offline, server, capsys):
    (run,) = list_runs(offline)
    write_sealed(run.path / "run.json", {**run.data, "status": "running", "process": this_process()})
    assert run_sync(offline, "last") == 0
    assert capsys.readouterr().out.startswith(f"running    {run.name}\n")
    assert not server.runs


def test_a_run_whose_artifact_is_gone_says_so(offline, server, capsys):
    (run,) = list_runs(offline)
    shutil.rmtree(run.artifact("total"))
    assert run_sync(offline, "last") == 1
    assert "is no longer in the store; run its experiment again" in capsys.readouterr().out


def test_a_curve_that_is_computed_anew_begins_a_recording_of_its_own(command, server):
    def rows(name):
        history = server.runs[name].history
        return [(row["total/step"], row["_timestamp"]) for row in history if "total/step" in row]

    assert command.run("tracking.mode=online").returncode == 0
    (run,) = list_runs(Store(command.store))
    first = rows(run.name)
    assert command.run("tracking.mode=online", "force=[numbers]").returncode == 0
    assert list(server.runs) == [run.name], "numbers has no curve"
    again = command.run("tracking.mode=online", "force=[total]")
    assert f"wandb: online as {run.name}-2" in again.stdout
    assert command.run("tracking.mode=online").returncode == 0
    assert sync(Store(command.store)).stdout.splitlines()[-1] == "1 unchanged"
    assert list(server.runs) == [run.name, f"{run.name}-2"]
    assert rows(run.name) == first
    second = rows(f"{run.name}-2")
    assert [step for step, _ in second] == [step for step, _ in first]


def test_a_failed_run_is_uploaded_as_failed_and_goes_on_when_it_was_mended(command, server, capsys):
    assert command.run("tracking.mode=off", "total.fail_at=3").returncode == 1
    store = Store(command.store)
    assert run_sync(store, "last") == 0
    assert run_sync(store, "last") == 0
    (run,) = list_runs(store)
    received = server.runs[run.name]
    assert (received.uploads, received.exit_code, received.summary["status"]) == (1, 1, "failed")
    assert points(received) == [("total", step) for step in (1, 2, 3)]
    assert command.run("tracking.mode=off").returncode == 0
    assert run_sync(store, "last") == 0
    assert (received.uploads, received.exit_code, received.summary["status"]) == (2, 0, "done")
    assert points(received) == [("total", step) for step in range(1, 6)]
