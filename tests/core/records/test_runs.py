import json
import os
import shutil

import pytest

from lmexp.core.records import runs
from lmexp.core.records.run_writer import RunWriter
from lmexp.core.records.runs import (
    damaged_invocations,
    find_run,
    list_runs,
    lost_runs,
    read_invocations,
    read_run,
)
from lmexp.core.records.verification import verify_store
from lmexp.core.store.lease import Waiter
from lmexp.core.values.files import read_json
from lmexp.core.values.sealed import read_sealed, write_sealed
from lmexp.errors import ConfigError, StoreError

from ..store.test_store import published

CONFIG = {"tracking": {"mode": "off", "project": "p", "entity": None}, "pipeline": "toy"}


@pytest.fixture
def begin(store, plan_toy):
    """Begin an invocation of a run, of an experiment of that name."""

    def begin(experiment: str = "toy", **values) -> RunWriter:
        return RunWriter(
            store, plan_toy(**values), experiment=experiment, group=experiment, config=CONFIG, command=["x"]
        )

    return begin


@pytest.fixture
def done(store, begin):
    """A finished run of one stage with one metric."""
    record = published(store, metrics={"loss": 2.909}, seconds=1.0, world_size=1)
    writer = begin()
    writer.finished("total", record, "ran")
    writer.close("done")
    return writer.run


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def as_before_seals(run):
    """Write the records of a run as an earlier version did."""
    data = read_json(run.path / "run.json")
    for key in ("record_sha256", "format"):
        del data[key]
    (run.path / "run.json").write_text(json.dumps(data, indent=2))
    lines = [
        {k: v for k, v in line.items() if k not in ("record", "record_sha256")}
        for line in read_invocations(run.path)
    ]
    (run.path / "invocations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return data


def test_a_run_is_read_as_it_was_written(store, done):
    run = find_run(store, "last")
    assert (run.data, run.seal) == (done.data, "sealed")
    assert run.metrics == {"total/loss": 2.909}
    assert verify_store(store).problems == ()
    (line,) = read_invocations(run.path)
    assert (line["outcome"], line["stages"], line["record"]) == ("done", {"total": "ran"}, done.data)


def test_what_has_changed_of_a_stages_code_is_noted_where_something_has(store, begin):
    record = published(store, seconds=1.0, world_size=1)
    writer = begin()
    writer.finished("a", record, "reused")
    writer.finished("b", record, "reused", ["rows.py bos_aligned"])
    stages = find_run(store, "last").stages
    assert "changed" not in stages["a"]
    assert stages["b"]["changed"] == ["rows.py bos_aligned"]


def test_a_run_whose_artifact_another_has_replaced_is_still_as_it_was_written(store, done):
    (record,) = store.records()
    (store.root / "scratch" / "x" / "out").mkdir(parents=True)
    again = published(
        store, text="rounded otherwise", metrics={"loss": 2.91}, seconds=1.0, world_size=1, replaces=record
    )
    assert again.metrics == {"loss": 2.91}
    assert find_run(store, done.name).metrics == {"total/loss": 2.909}
    assert verify_store(store).problems == ()


def test_an_edited_number_is_found_and_never_shown(store, done):
    edited(done.path / "run.json", "2.909", "0.909")
    run = find_run(store, done.name)
    assert (run.metrics, run.seal) == ({"total/loss": 2.909}, "rebuilt")
    (problem,) = verify_store(store).problems
    assert "run.json is missing or not as lmexp wrote it" in problem
    edited(done.path / "invocations.jsonl", "2.909", "0.909")
    with pytest.raises(StoreError, match=r"not as lmexp wrote it.*give the run's command again.*or delete"):
        find_run(store, done.name)


@pytest.mark.parametrize("damage", ["missing", "directory", "", "[]", "{}", "null", "not UTF-8"])
def test_a_lost_run_json_is_rebuilt_from_the_newest_invocation(store, done, damage):
    path = done.path / "run.json"
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif damage == "not UTF-8":
        path.write_bytes(b"\xff\xfe{}")
    elif damage != "missing":
        path.write_text(damage)
    (run,) = list_runs(store)
    assert (run.data, run.seal) == (done.data, "rebuilt")
    assert lost_runs(store) == []
    assert len(verify_store(store).problems) >= 1


def test_a_run_that_cannot_be_rebuilt_is_named_and_hides_no_other(store, done, begin):
    lost = begin("lost")
    (lost.path / "run.json").unlink()
    assert [run.name for run in list_runs(store)] == [done.name]
    (sentence,) = lost_runs(store)
    assert f"{lost.path / 'run.json'} is missing" in sentence
    assert sentence in verify_store(store).problems
    assert find_run(store, done.name).data == done.data
    with pytest.raises(StoreError, match=r"lost-\w+/run\.json is missing"):
        find_run(store, lost.name)
    with pytest.raises(ConfigError, match="has no run 'los'"):
        find_run(store, "los")
    os.utime(lost.path, (1, 1))
    assert find_run(store, "last").name == done.name
    os.utime(lost.path, (2e9, 2e9))
    with pytest.raises(StoreError, match="is missing"):
        find_run(store, "last")
    shutil.rmtree(done.path)
    with pytest.raises(StoreError, match="is missing"):
        find_run(store, "last")


def test_the_record_of_another_run_is_not_this_ones(store, done, begin):
    other = begin("other")
    shutil.copy(done.path / "run.json", other.path / "run.json")
    assert [run.name for run in list_runs(store)] == [done.name]
    shutil.copy(done.path / "invocations.jsonl", other.path / "invocations.jsonl")
    assert "not as lmexp wrote it" in lost_runs(store)[0]


def test_what_an_earlier_version_wrote_is_read_and_compared(store, done):
    data = as_before_seals(done)
    run = find_run(store, "last")
    assert (run.data, run.seal) == (data, "not sealed")
    assert len(read_invocations(run.path)) == 1
    found = verify_store(store)
    assert (found.problems, found.num_unsealed) == ((), 1)
    edited(done.path / "run.json", "2.909", "0.909")
    (problem,) = verify_store(store).problems
    assert problem == f"{done.path / 'run.json'} says 0.909 for total/loss, and the artifact 2.909"


def test_a_seal_that_was_taken_away_is_missed(store, done):
    data = read_json(done.path / "run.json")
    del data["record_sha256"]
    data["metrics"]["total/loss"] = 0.909
    (done.path / "run.json").write_text(json.dumps(data))
    assert find_run(store, "last").metrics == {"total/loss": 2.909}
    line = read_json(done.path / "invocations.jsonl")
    del line["record_sha256"]
    line["record"]["metrics"]["total/loss"] = 0.909
    (done.path / "invocations.jsonl").write_text(json.dumps(line) + "\n")
    assert damaged_invocations(done.path) == [1]
    assert len(lost_runs(store)) == 1


WRONG = [None, 1, -1.5, True, "text", "/etc", "../..", [], {}, [1], {"a": 1}, {"a": None}, {"a": {}}]


def test_no_unsealed_record_of_another_form_is_read(store, done):
    data = as_before_seals(done)
    read = {key: [] for key in data}
    for key in data:
        for value in WRONG:
            (done.path / "run.json").write_text(json.dumps({**data, key: value}))
            read[key] += [run.data[key] for run in list_runs(store)]
    loose = {"recording", "finished", "command", "changes", "planned", "stages", "current", "metrics", "argv"}
    loose |= {"tracking"}
    assert {key for key, values in read.items() if values} <= loose | {"started", "group", "experiment"}
    assert read["planned"] == read["stages"] == [{}]
    assert read["metrics"] == [{}, {"a": 1}]
    assert all(isinstance(text, str) for key in ("started", "group", "experiment") for text in read[key])
    assert read["status"] == read["process"] == read["config"] == read["run"] == []
    for artifact in ("/etc", "a/../../b", 1):
        stages = {"total": {**data["stages"]["total"], "artifact": artifact}}
        (done.path / "run.json").write_text(json.dumps({**data, "stages": stages}))
        assert list_runs(store) == []


def test_an_odd_line_stops_no_resume_and_is_dropped_by_the_next_invocation(store, done, begin):
    path = done.path / "invocations.jsonl"
    good = path.read_bytes()
    path.write_bytes(b'[]\n1\nnull\n{"started": 1}\n\xff\xfe\n\n' + good + b'{"torn')
    assert damaged_invocations(done.path) == [1, 2, 3, 4, 5, 7]
    assert len([p for p in verify_store(store).problems if "is left out" in p]) == 6
    again = begin()
    assert again.path == done.path
    assert path.read_bytes() == good
    assert len(list((store.root / "trash").iterdir())) == 1
    again.close("done")
    assert [line["outcome"] for line in read_invocations(done.path)] == ["done", "done"]
    assert verify_store(store).problems == ()


def test_an_invocation_after_a_torn_line_is_not_swallowed_by_it(store, begin):
    writer = begin()
    (writer.path / "invocations.jsonl").write_text('{"torn')
    writer.close("done")
    assert [line["outcome"] for line in read_invocations(writer.path)] == ["done"]
    assert damaged_invocations(writer.path) == [1]


def test_a_damaged_record_is_written_anew_by_the_runs_command(store, done, begin):
    (done.path / "run.json").write_text("{}")
    (done.path / "invocations.jsonl").unlink()
    assert lost_runs(store)
    begin().close("done")
    assert (find_run(store, "last").seal, lost_runs(store)) == ("sealed", [])


def test_a_killed_invocation_is_noted_with_what_it_had(store, begin):
    first = begin()
    data = {**first.run.data, "process": {**first.run.data["process"], "started": "1"}}
    write_sealed(first.path / "run.json", data)
    assert read_run(first.path).status == "killed"
    begin()
    (line,) = read_invocations(first.path)
    assert (line["outcome"], line["record"]) == ("killed", data)
    begin()
    assert len(read_invocations(first.path)) == 1
    assert read_sealed(first.path / "run.json")["format"] == 2


def test_what_is_nothing_of_lmexps_is_named(store, done):
    strays = [
        "notes",
        "runs/notes",
        "sweeps/notes",
        "leases/notes",
        "cache/notes.json",
        f"runs/{done.name}/x",
    ]
    for name in strays:
        (store.root / name).parent.mkdir(exist_ok=True)
        (store.root / name).write_text("")
    (store.root / "dashboard-toy.json").write_text("{}")
    problems = verify_store(store).problems
    assert sorted(problems) == sorted(f"{store.root / name} is nothing that lmexp wrote" for name in strays)


def test_what_is_remembered_and_was_changed_is_named(store, done):
    store.cache.mkdir(exist_ok=True)
    (store.cache / "hashes.json").write_text('{"known": {}, "sha256": "0"}')
    (store.cache / "curves").mkdir()
    (store.cache / "curves" / "x.json").write_text("{}")
    (done.path / "report.html").write_text("<p>0.909</p>")
    (done.path / "tracking.json").write_text('{"sent": true}')
    problems = verify_store(store).problems
    assert [p.partition(" is not as lmexp wrote it")[0].rpartition("/")[2] for p in problems] == [
        "report.html",
        "tracking.json",
        "hashes.json",
        "x.json",
    ]


def test_what_a_killed_writer_left_half_written_is_no_damage(store, done):
    Waiter(store.leases("ab" * 32), 30).try_acquire().release()
    for folder in (store.root, done.path, store.cache, store.leases("ab" * 32), store.root / "sweeps"):
        folder.mkdir(exist_ok=True)
        (folder / ".run.json.0123abcd.tmp").write_text("{")
    (store.root / ".gitignore").write_text("*")
    assert verify_store(store).problems == ()


def test_lines_that_were_emptied_are_named(store, done):
    assert verify_store(store).problems == ()
    (done.path / "invocations.jsonl").write_text("")
    (problem,) = verify_store(store).problems
    assert "invocations.jsonl is empty, although the run has ended" in problem


def test_a_run_that_is_named_is_found_without_the_records_of_others(store, begin, monkeypatch):
    names = [begin(experiment).name for experiment in ("first", "second", "second-b")]
    reads = []
    real = runs.read_run
    monkeypatch.setattr(runs, "read_run", lambda folder: reads.append(folder.name) or real(folder))
    for word in (names[0], "fi", names[1]):
        reads.clear()
        assert find_run(store, word).name.startswith(word)
        assert len(reads) == 1
    with pytest.raises(ConfigError, match="begins the names of 2 runs"):
        find_run(store, "second")
