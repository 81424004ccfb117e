"""What a list of runs says of each: a figure, and what tells it from the others."""

import json

import pytest

from lmexp import cli
from lmexp.core.records.runs import Run
from lmexp.verbs import ls

BASE = {
    "seed": 0,
    "model": {"num_layers": 2, "d_model": 64},
    "corpus": {"files": ["a"]},
    "store": "x",
    "only": [],
}


def made(tmp_path, name, *, experiment="tiny", metrics=None, changes=None, **keys):
    config = {**BASE, **{k: v for k, v in keys.items() if k != "layers"}}
    if "layers" in keys:
        config["model"] = {**BASE["model"], "num_layers": keys["layers"]}
    data = {
        "run": name,
        "experiment": experiment,
        "status": "done",
        "started": "2026-11-25T04:08:59.123+00:00",
        "config": config,
        "changes": changes,
        "metrics": metrics or {},
        "stages": {},
    }
    return Run(path=tmp_path / "runs" / name, data=data)


@pytest.fixture
def listed(tmp_path, monkeypatch, capsys):
    from lmexp.core.records import runs
    from lmexp.core.store.store import Store

    store = Store(tmp_path / "store")
    store.prepare()

    def call(*found, words=()):
        monkeypatch.setattr(runs, "list_runs", lambda _store: list(found))
        assert cli.main(["ls", f"store={store.root}", *words]) == 0
        return capsys.readouterr().out

    return call


def test_a_run_shows_its_figure_and_what_differs_from_the_others_of_its_experiment(listed, tmp_path):
    bits = "perplexity/test/bits_per_byte"
    out = listed(
        made(tmp_path, "tiny-1", metrics={bits: 2.909, "a/b": 1.0}),
        made(tmp_path, "tiny-2", metrics={bits: 2.8111, "a/b": 1.0}, layers=4, store="elsewhere"),
        made(tmp_path, "other-1", experiment="other", metrics={"prompts/x/acc/5": 0.25}, seed=7),
    )
    assert out.splitlines()[:5] == [
        "tiny-1   done         2026-11-25 04:08  bits per byte 2.909",
        "    model.num_layers=2",
        "tiny-2   done         2026-11-25 04:08  bits per byte 2.811",
        "    model.num_layers=4",
        "other-1  done         2026-11-25 04:08  acc/5 0.250",
    ]


def test_what_a_run_alone_changed_of_its_experiment_is_shown_and_json_has_it_all(listed, tmp_path):
    run = made(tmp_path, "tiny-1", metrics={"total/sum": 3}, changes={"seed": [0, 7]}, seed=7)
    assert "total" not in listed(run).splitlines()[1]
    assert listed(run).splitlines()[1] == "    seed=7"
    (found,) = json.loads(listed(run, words=["--json"]))["runs"]
    assert found["differs"] == {"seed": 7}
    assert found["figure"] == {"metric": "total/sum", "value": 3}


def test_no_line_of_the_list_is_wider_than_a_terminal(listed, tmp_path):
    long = "/data/" + "folder/" * 9
    bits = {"perplexity/test/bits_per_byte": 1.5}
    first = made(tmp_path, "an_experiment_with_a_long_name-12345678", metrics=bits)
    second = made(tmp_path, "x-1", corpus={"files": [long]}, seed=3, layers=9, note="a b " * 40)
    out = listed(first, second)
    assert max(map(len, out.splitlines())) <= 80
    assert "seed=3" in out
    assert first.name in out


def test_an_empty_store_says_so(listed):
    assert listed().strip() == "no runs"
    assert ls.differing([]) == []
