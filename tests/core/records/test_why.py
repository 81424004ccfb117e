"""Why a toy experiment would compute what it would, in words."""

import pytest

from lmexp.core.records.run_writer import RunWriter
from lmexp.core.records.why import explain
from lmexp.core.store.record import RECORD
from lmexp.core.values.config import build, to_dict
from lmexp.core.values.sealed import read_sealed, write_sealed


@pytest.fixture
def why(toy, plan_toy, run_toy, store):
    """Return functions that run the toy as a recorded run, and that explain a configuration."""

    def config(**values):
        return build(toy.ToyExperiment, {"store": str(store.root), **values})

    def run(**values):
        plan, (actions, records) = plan_toy(**values), run_toy(**values)
        writer = RunWriter(store, plan, experiment="toy", group="toy", config=to_dict(config(**values)))
        for name, record in records.items():
            writer.finished(name, record, actions[name])
        writer.close("done")
        return records

    def lines(**values):
        return explain(config(**values), store, lambda plain: toy.pipeline(build(toy.ToyExperiment, plain)))

    return run, lines


def test_each_key_names_what_it_re_runs(why, store):
    run, lines = why
    assert lines() == [f"no run of this pipeline is in {store.root}: every stage runs"]
    run()
    first, *rest = lines(numbers={"count": 6, "sleep_s": 0.5}, total={"power": 2})
    assert first.startswith("compared with run toy-")
    assert rest == [
        "numbers.count 5 -> 6: re-runs numbers, total",
        "numbers.sleep_s 0.0 -> 0.5: no result depends on it, re-runs nothing",
        "total.power 1 -> 2: re-runs total",
    ]
    assert lines()[1:] == ["no key differs: re-runs nothing"]


def test_a_key_that_is_younger_than_the_run_is_told_apart_by_what_its_absence_means(why, store):
    run, lines = why
    run()
    (path,) = store.runs.glob("*/run.json")
    data = read_sealed(path)
    del data["config"]["numbers"]["offset"], data["config"]["numbers"]["sleep_s"]
    write_sealed(path, data)
    sleep = "numbers.sleep_s (none) -> 0.0: no result depends on it, re-runs nothing"
    assert lines()[1:] == [sleep]
    assert lines(numbers={"offset": 3})[1:] == ["numbers.offset 0 -> 3: re-runs numbers, total", sleep]


def test_what_runs_although_nothing_differs_is_said(why, store):
    run, lines = why
    records = run()
    assert lines(force=["total"])[1:] == ["no result differs, and yet these run: total is forced"]
    store.discard(records["total"].path)
    assert lines()[1:] == ["no result differs, and yet these run: total is not in the store"]


def test_a_version_that_changed_is_told_beside_a_key_that_did(why, toy):
    run, lines = why
    run()
    object.__setattr__(toy.numbers, "version", 2)
    try:
        found = lines()[1:]
        assert found[0] == ("external files, your code, or a stage's version changed: re-runs numbers, total")
        assert found[1].startswith("  numbers: stage version 1 -> 2 (nearest: toy_numbers-")
        assert len(found) == 2
        found = lines(total={"power": 2})[1:]
        assert found[0] == "total.power 1 -> 2: re-runs total"
        assert found[1].endswith("version changed: re-runs numbers")
    finally:
        object.__setattr__(toy.numbers, "version", 1)


def test_edited_code_of_what_is_reused_is_named(why, store):
    run, lines = why
    record = run()["numbers"]
    record.data["code"]["files"]["toy.py"]["numbers"] = "0" * 12
    write_sealed(record.path / RECORD, record.data)
    assert lines()[1:] == [
        "no key differs: re-runs nothing",
        "numbers is reused; changed since: toy.py numbers",
    ]
