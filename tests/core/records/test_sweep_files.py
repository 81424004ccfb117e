"""The files of a sweep, written and damaged without running anything."""

import json

import pytest

from lmexp.core.records.sweeps import (
    exit_code_of,
    find_sweep,
    note_point,
    note_sweep,
    read_sweep_file,
    sweep_names,
)
from lmexp.core.records.verification import verify_store
from lmexp.core.values.files import read_json
from lmexp.errors import ConfigError, StoreError

from .test_runs import begin as begin  # noqa: PLC0414 - a fixture


@pytest.fixture
def sweep(store, begin):
    """A sweep of two runs, and its directory."""
    note_sweep(store, "group", command=["python", "seed=1,2"], num_points=2)
    for index, offset in enumerate((1, 2)):
        run = begin(numbers={"offset": offset})
        run.close("done")
        note_point(store, "group", index=index, overrides=[f"seed={offset}"], run=run.name, exit_code=0)
    return store.root / "sweeps" / "group"


def test_a_sweep_is_read_as_it_was_written(store, sweep):
    found = find_sweep(store, "group")
    assert found.name == "group"
    assert found.data == {"command": ["python", "seed=1,2"], "num_points": 2}
    assert [p.overrides for p in found.points] == [("seed=1",), ("seed=2",)]
    assert len({p.run.name for p in found.points}) == 2
    assert verify_store(store).problems == ()
    with pytest.raises(ConfigError, match=r"no sweep 'grupo' \(did you mean 'group'"):
        find_sweep(store, "grupo")


@pytest.mark.parametrize(
    "damage", ["edited", "", "[]", "{}", "null", '{"command": ["x"], "num_points": true}']
)
def test_a_damaged_sweep_is_named_and_refused(store, sweep, damage):
    path = sweep / "sweep.json"
    path.write_text(path.read_text().replace("seed=1,2", "seed=1,3") if damage == "edited" else damage)
    assert sweep_names(store) == ["group"]
    with pytest.raises(StoreError, match=r"sweep\.json is not as lmexp wrote it.*command again"):
        find_sweep(store, "group")
    (problem,) = verify_store(store).problems
    assert str(path) in problem


@pytest.mark.parametrize(
    "damage",
    [
        "edited",
        "",
        "[]",
        '{"run": null, "index": 0, "overrides": [], "exit_code": "x"}',
        '{"run": 1, "index": 0, "overrides": []}',
        '{"run": "x", "index": true, "overrides": []}',
    ],
)
def test_a_damaged_point_is_named_and_left_out(store, sweep, damage):
    path = sorted((sweep / "points").iterdir())[0]
    left = {p.run.name for p in find_sweep(store, "group").points} - {read_json(path)["run"]}
    assert exit_code_of(store, "group") == 0
    path.write_text(path.read_text().replace('"index": ', '"index": 1') if damage == "edited" else damage)
    assert {p.run.name for p in find_sweep(store, "group").points} == left
    assert exit_code_of(store, "group") == 1
    (problem,) = verify_store(store).problems
    assert str(path) in problem


def test_a_sweep_without_its_record_is_named(store, sweep):
    (sweep / "sweep.json").unlink()
    assert sweep_names(store) == []
    (problem,) = verify_store(store).problems
    assert "sweep.json is missing" in problem


def test_what_an_earlier_version_wrote_of_a_sweep_is_read(store, sweep):
    for path in (sweep / "sweep.json", *(sweep / "points").iterdir()):
        data = read_json(path)
        del data["record_sha256"]
        path.write_text(json.dumps(data))
        assert read_sweep_file(path) == data
    assert len(find_sweep(store, "group").points) == 2
    assert verify_store(store).problems == ()


def test_points_are_in_the_order_of_the_command(store, sweep):
    names = [p.run.name for p in find_sweep(store, "group").points]
    for index, name in enumerate(reversed(names)):
        note_point(store, "group", index=index, overrides=[], run=name, exit_code=0)
    note_point(store, "group", index=2, overrides=[], run="gone", exit_code=0)
    assert [p.run.name for p in find_sweep(store, "group").points] == names[::-1]


def test_a_page_that_was_edited_and_a_stray_file_are_named(store, sweep):
    (sweep / "report.html").write_text("<p>0.909</p>")
    (sweep / "notes").write_text("")
    problems = verify_store(store).problems
    assert problems[0] == f"{sweep / 'notes'} is nothing that lmexp wrote"
    assert problems[1] == f"{sweep / 'report.html'} is not as lmexp wrote it; lmexp report writes it anew"
