"""Runs that are mirrored to a server while they go on."""

import os
import signal

import pytest

from lmexp.cli import main
from lmexp.core.records.runs import list_runs
from lmexp.core.store.store import Store
from lmexp.core.tracking.uploader import server_answers
from lmexp.errors import ConfigError

from ..conftest import processes_of, wait_until
from .test_sync import points, sync
from .wandb_server import ENTITY, KEY, WandbServer


@pytest.fixture
def server(monkeypatch):
    with WandbServer() as made:
        monkeypatch.setenv("WANDB_BASE_URL", made.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield made
        assert not made.errors
        assert not made.unknown


def only_run(command):
    (run,) = list_runs(Store(command.store))
    return run


def test_a_run_is_online_with_its_curve_its_group_and_its_artifacts(command, server):
    done = command.run("-m", "tracking.mode=auto", "numbers.count=4,5")
    assert done.returncode == 0, done.stderr
    runs = list_runs(Store(command.store))
    for run in runs:
        address = f"{server.url}/{ENTITY}/lmexp/runs/{run.name}"
        assert f"wandb: online as {run.name}: {address}" in done.stdout
    for run, count in zip(runs, (4, 5), strict=True):
        received = server.runs[run.name]
        assert received.fields["groupName"] == run.data["group"]
        assert received.fields["jobType"] == "toy"
        assert points(received) == [("total", step) for step in range(1, count + 1)]
        assert received.summary["total/sum"] == run.metrics["total/sum"]
        assert received.exit_code == 0
    assert len({run.fields["groupName"] for run in server.runs.values()}) == 1
    assert len(server.versions("numbers")) == len(server.versions("total")) == 2
    assert {use[1] for use in server.uses} == {"numbers"}
    assert {server.runs[run.name].fields["displayName"] for run in runs} == {
        run.data["tracking"]["name"] for run in runs
    }


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ({"WANDB_MODE": "disabled"}, ""),
        ({"WANDB_DISABLED": "true"}, ""),
        ({"WANDB_MODE": "offline"}, "recorded offline, upload it with: "),
    ],
)
def test_an_environment_that_forbids_it_keeps_every_server_out_although_a_key_is_set(
    command, server, monkeypatch, capsys, said, printed
):
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    done = command.run("tracking.mode=auto", "numbers.count=2")
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert ("wandb" in done.stdout) == bool(printed)
    assert main(["sync", f"store={command.store}"]) == (2 if printed else 0)
    assert ("says that no server is contacted" in capsys.readouterr().err) == bool(printed)
    assert server.requests == []


def test_a_run_goes_where_wandbs_environment_says(command, server, monkeypatch):
    names = {
        "PROJECT": "theirs",
        "NAME": "first try",
        "TAGS": "a,b",
        "NOTES": "a note",
        "RUN_GROUP": "g",
        "RUN_ID": "id7",
    }
    for name, value in names.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    done = command.run("tracking.mode=auto", "numbers.count=2")
    assert done.returncode == 0, done.stderr
    assert f"wandb: online as id7: {server.url}/{ENTITY}/theirs/runs/id7" in done.stdout
    received = server.runs["id7"]
    fields = [received.fields.get(key) for key in ("displayName", "tags", "notes", "groupName")]
    assert (received.project, *fields) == ("theirs", "first try", ["toy", "a", "b"], "a note", "g")
    for name in names:
        monkeypatch.delenv(f"WANDB_{name}")
    assert sync(Store(command.store), only_run(command).name).stdout.endswith("1 unchanged\n")


def test_whether_a_server_answers_does_not_hang_on_what_it_says(server, monkeypatch):
    assert server_answers()
    monkeypatch.setenv("WANDB_BASE_URL", server.url.replace("http:", "https:"))
    assert server_answers()  # a broken certificate is an answer
    for url in ("file:///etc/passwd", "http://127.0.0.1:1", "nowhere"):
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert not server_answers()
    monkeypatch.setenv("WANDB_BASE_URL", "http://[")
    with pytest.raises(ConfigError, match="the value of WANDB_BASE_URL is not an address"):
        server_answers()


def test_a_run_and_its_mirror_that_were_killed_go_on_online_without_a_row_twice(command, server):
    overrides = ["tracking.mode=online", "numbers.count=40"]
    process = command.start(*overrides, "total.step_s=0.3")
    wait_until(lambda: server.runs and points(next(iter(server.runs.values()))), 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not processes_of(command.directory))
    done = command.run(*overrides)
    assert done.returncode == 0, done.stderr
    received = server.runs[only_run(command).name]
    assert points(received) == [("total", step) for step in range(1, 41)]
    assert not received.changed_lines
    assert received.uploads == 2


def test_a_run_whose_server_falls_silent_ends_in_time_and_is_uploaded_later(command, server):
    server.fail("file_stream", "stall", after=1)
    done = command.run("tracking.mode=online", "tracking.finish_timeout_s=3")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("wandb: ")]
    said, _, again = line.partition("upload it with: ")
    assert said == "wandb: the wandb server did not take the run in 3 s; recorded offline, "
    assert again.endswith(f"lmexp sync store={command.store}")
    server.mend()
    assert sync(Store(command.store)).returncode == 0
    received = server.runs[only_run(command).name]
    assert points(received) == [("total", step) for step in range(1, 6)]
    assert not received.changed_lines


def test_a_server_that_refuses_the_run_leaves_it_recorded_offline(command, server):
    server.fail("UpsertBucket", "refuse")
    done = command.run("tracking.mode=online")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("wandb: ")]
    assert "recorded offline, upload it with: " in line


def test_two_pipelines_may_give_one_name_to_artifacts_of_two_stages(command, server):
    server.seed("total", "another_stage")
    assert command.run("tracking.mode=online").returncode == 0
    assert [a.kind for a in server.versions("total-toy_total")] == ["toy_total"]
