"""Experiments, sweeps and curves as functions, in a program and in a notebook."""

import sys
import types

import pytest

import lmexp
from lmexp.core.records.sweeps import exit_code_of, find_sweep, sweep_names
from lmexp.core.store.store import Store
from lmexp.errors import ConfigError, LmexpError
from lmexp.experiments import Block

from .core.conftest import command  # noqa: F401 - a fixture


@pytest.fixture
def toy_words(command):  # noqa: F811
    """How the toy pipeline is named, and its store."""
    named = {"config_name": "toy", "config_dir": str(command.directory / "configs")}
    return named, f"store={command.store}", Store(command.store)


def test_an_experiment_of_ones_own_configuration_runs_and_gives_its_curve(toy_words, capsys):
    named, store, _ = toy_words
    run = lmexp.run_experiment([store, "numbers.count=4"], **named)
    assert (run.status, run.metrics["total/sum"]) == ("done", 6)
    assert "total" in capsys.readouterr().err
    frame = lmexp.curve(run, "total")
    assert list(frame.index) == [1, 2, 3, 4]
    assert list(frame["sum"]) == [0, 1, 3, 6]
    with pytest.raises(ConfigError, match=r"has no curve \(did you mean 'total'\?\)|has no stage 'totl'"):
        lmexp.curve(run, "totl")
    with pytest.raises(ConfigError, match=r"the stage numbers of run .* has no curve"):
        lmexp.curve(run, "numbers")


def test_a_curve_without_pandas_is_a_list_by_step(toy_words, monkeypatch):
    named, store, _ = toy_words
    run = lmexp.run_experiment([store, "numbers.count=3"], quiet=True, **named)
    with (run.artifact("total") / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "extra": 5}\n')
    monkeypatch.setitem(sys.modules, "pandas", None)
    points = lmexp.curve(run, "total")
    assert [(p["step"], p["sum"], p.get("extra")) for p in points] == [(1, 0, None), (2, 1, 5), (3, 3, None)]


def test_a_sweep_returns_its_runs_in_order_and_has_its_record_and_page(toy_words, capsys):
    named, store_word, store = toy_words
    words = [store_word, "numbers.count=3,4", "total.power=1,2"]
    runs = lmexp.run_sweep(words, quiet=True, **named)
    assert [run.metrics["total/sum"] for run in runs] == [3, 5, 6, 14]
    (group,) = sweep_names(store)
    sweep = find_sweep(store, group)
    assert [point.run.name for point in sweep.points] == [run.name for run in runs]
    assert (sweep.path / "report.html").exists()
    assert exit_code_of(store, group) == 0
    assert sweep.data["command"][-4:] == ["-m", *words]
    assert capsys.readouterr().err == ""


def test_a_failed_point_of_a_sweep_is_raised_after_the_others(toy_words):
    named, store_word, store = toy_words
    with pytest.raises(LmexpError, match="there are no numbers"):
        lmexp.run_sweep([store_word, "numbers.count=0,3"], quiet=True, **named)
    (group,) = sweep_names(store)
    assert exit_code_of(store, group) == 2
    assert [point.run.status for point in find_sweep(store, group).points] == ["failed", "done"]


class Shown:
    """Stands for a notebook: what its one block of output shows, and how often it was another."""

    def __init__(self):
        self.versions = []

    def display(self, data, *, raw, display_id):
        assert (raw, display_id) == (True, True)
        self.update(data, raw=True)
        return self

    def update(self, data, *, raw):
        self.versions.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    shown = Shown()
    shell = types.SimpleNamespace(kernel=object())
    module = types.SimpleNamespace(
        get_ipython=lambda: shell, display=types.SimpleNamespace(display=shown.display)
    )
    monkeypatch.setitem(sys.modules, "IPython", module)
    return shown


def test_a_notebook_shows_progress_in_place_and_a_short_table_at_the_end(toy_words, notebook, capsys):
    named, store, _ = toy_words
    run = lmexp.run_experiment([store], **named)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert any("numbers" in text and "runs" in text for text in notebook.versions)
    assert all(text.count("\n") < 12 and "\x1b" not in text for text in notebook.versions)
    last = notebook.versions[-1]
    assert last.startswith(f"{run.name}  done\n")
    assert last.endswith(f"report: {run.path / 'report.html'}")
    assert "total/sum      10" in last
    assert len(last) < 500


def test_a_failure_in_a_notebook_leaves_its_exception_alone(toy_words, notebook):
    named, store, _ = toy_words
    with pytest.raises(LmexpError, match="the toy was told to fail"):
        lmexp.run_experiment([store, "total.fail_at=2"], **named)
    assert notebook.versions[-1] == ""


def test_a_block_keeps_lines_and_replaces_the_one_that_is_erased(notebook):
    block = Block()
    for text in ("a\n", "b 1", "\r\x1b[Kb 2", "\r\x1b[Kb done\n", "c", "d\n"):
        block.write(text)
    block.flush()
    assert notebook.versions[-1] == "a\nb done\ncd"
    assert block.isatty()
