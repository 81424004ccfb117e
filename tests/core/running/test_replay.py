"""Replays of the toy pipeline: identical, different, and of code that nobody has named."""

import json

import pytest

from lmexp.cli import main
from lmexp.core.records.run_writer import RunWriter
from lmexp.core.running.replay import replay
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import ConfigError, StoreError
from tests.core.conftest import TOY
from tests.core.graph.test_reserved import TRAP


def test_a_replay_computes_the_same_bytes_and_leaves_nothing_behind(run_toy, store):
    _, records = run_toy()
    found = [replay(records[name], store) for name in ("numbers", "total")]
    assert [(dict(f.differing), list(f.changed)) for f in found] == [({}, []), ({}, [])]
    assert not list((store.root / "scratch").iterdir())


def test_a_replay_says_where_a_file_differs_and_what_code_has_changed(run_toy, store):
    _, records = run_toy()
    record = records["numbers"]
    (record.path / "numbers.json").write_text("[0, 1, 2, 5, 4]")
    record.data["files"]["numbers.json"]["sha256"] = "0" * 64
    record.data["files"]["gone.txt"] = {"size": 1, "sha256": "1" * 64}
    (record.path / "gone.txt").write_text("x")
    record.data["code"]["files"]["toy.py"]["numbers"] = "0" * 12
    found = replay(record, store)
    assert found.differing == {"numbers.json": "key [3]: 5 -> 3, -2", "gone.txt": "is missing"}
    assert found.changed == ["toy.py numbers"]


def test_a_file_that_the_record_does_not_list_is_new(run_toy, store):
    record = run_toy()[1]["numbers"]
    del record.data["files"]["numbers.json"]
    (record.path / "numbers.json").unlink()
    assert replay(record, store).differing == {"numbers.json": "is new"}


def test_an_input_that_is_gone_is_named(run_toy, store):
    _, records = run_toy()
    store.discard(records["numbers"].path)
    with pytest.raises(StoreError, match=r"needs artifacts/toy_numbers/.*no longer in the store"):
        replay(records["total"], store)


def test_the_verb_prints_each_place_and_exits_with_one(run_toy, store, monkeypatch, capsys):
    _, records = run_toy()
    record = records["numbers"]
    words = ["replay", f"toy_numbers/{record.name}", f"store={store.root}", "--pipeline", str(TOY)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"toy_numbers/{record.name}  identical\n"
    (record.path / "numbers.json").write_text("[0]")
    data = json.loads((record.path / "artifact.json").read_text())
    data["files"]["numbers.json"]["sha256"] = "0" * 64
    data["code"]["files"]["toy.py"]["numbers"] = "0" * 12
    del data["record_sha256"]
    write_sealed(record.path / "artifact.json", data)
    assert main(words) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"toy_numbers/{record.name}  differs in numbers.json",
        "  numbers.json: [0] -> [0, 1, 2, 3, 4]",
        "  its code changed since: toy.py numbers",
    ]


def test_a_file_that_a_store_names_is_run_only_where_the_user_names_it(
    run_toy, plan_toy, store, tmp_path, monkeypatch, capsys
):
    _, records = run_toy()
    file = tmp_path / "pipelines" / "trap.py"
    file.parent.mkdir()
    file.write_text(TRAP)
    monkeypatch.chdir(tmp_path)
    for pipeline in (str(file), "trap"):
        writer = RunWriter(store, plan_toy(), experiment="toy", group="toy", config={"pipeline": pipeline})
        for name, record in records.items():
            writer.finished(name, record, "ran")
        writer.close("done")
        monkeypatch.setattr("lmexp.core.graph.stage._REGISTRY", {})
        for verb in ("replay", "show", "report", "ls"):
            words = [verb, *([] if verb == "ls" else [writer.name]), f"store={store.root}"]
            assert main(words) == (2 if verb == "replay" else 0)
        assert "'toy_numbers' is not a registered stage" in capsys.readouterr().err
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
    assert not (file.parent / "trapped").exists()
    monkeypatch.setattr("lmexp.core.graph.stage._REGISTRY", {})
    with pytest.raises(ConfigError, match=r"runs no code because a store names it.*--pipeline FILE"):
        replay(records["numbers"], store)
