"""The progress line: what it says, in which order, and that it fits."""

import io
import json
from types import SimpleNamespace

import pytest

from lmexp.core.running import console as module
from lmexp.core.running.console import Console


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Return what the line says after some points of a stage of 100 steps."""
    monkeypatch.setattr(module, "_REFRESH_S", 0)
    monkeypatch.setenv("COLUMNS", "200")
    stage = SimpleNamespace(total_steps=lambda _config: 100)
    handle = SimpleNamespace(stage=stage, config=None)
    plan = SimpleNamespace(
        stages=[SimpleNamespace(name="train")], by_name={"train": SimpleNamespace(handle=handle)}
    )

    def call(*points, before=()):
        def append(some):
            with (tmp_path / "metrics.jsonl").open("a") as file:
                file.writelines(json.dumps(point) + "\n" for point in some)

        terminal = Terminal()
        console = Console(plan, terminal)
        append(before)
        console.started("train", tmp_path, None)
        append(points)
        console.tick()
        return terminal.getvalue().rpartition("\x1b[K")[2]

    return call


def test_a_log_gets_a_line_for_what_is_done_before_the_first_point_and_a_terminal_shows_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_REFRESH_S", 1000)
    plan = SimpleNamespace(stages=[SimpleNamespace(name="train")], by_name={})
    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        (tmp_path / "said.jsonl").unlink(missing_ok=True)
        console = Console(plan, stream)
        console.started("train", tmp_path, None)
        console.tick()
        for text in ("imports a library", "builds a model"):
            with (tmp_path / "said.jsonl").open("a") as file:
                file.write(json.dumps({"text": text}) + "\n")
            console.tick()
    assert log.getvalue().splitlines() == ["train  runs", "train  imports a library", "train  builds a model"]
    assert terminal.getvalue().endswith("s  builds a model")
    assert "s  imports a library\r" in terminal.getvalue()


FIRST = {"step": 10, "time": 100.0, "train/loss": 4.5, "lr": 0.001, "tokens_per_second": 50.0}
VALIDATED = {
    "step": 20,
    "time": 110.0,
    "train/loss": 4.25,
    "lr": 0.002,
    "tokens_per_second": 4321.0,
    "validation/loss": 4.375,
}
LATER = {"step": 30, "time": 120.0, "train/loss": 4.0, "lr": 0.003, "tokens_per_second": float("nan")}


def test_it_shows_step_time_left_losses_rates_and_the_rest(show):
    line = show(FIRST, VALIDATED)
    assert line.split("  ", 2)[2] == (
        "step 20/100  1:20 left  loss 4.25  validation loss 4.375  tokens/s 4,321  lr 0.002"
    )


def test_numbers_that_a_point_leaves_out_keep_their_newest_value(show):
    assert "loss 4  validation loss 4.375" in show(FIRST, VALIDATED, LATER)
    assert "nan" not in show(FIRST, LATER)


def test_points_of_an_earlier_attempt_do_not_count_towards_the_time_left(show):
    long_ago = {"step": 5, "time": 0.0, "train/loss": 9.0}
    assert "left" not in show(FIRST, before=[long_ago])
    assert "1:20 left" in show(FIRST, VALIDATED, before=[long_ago])


def test_it_is_cut_where_the_terminal_ends(show, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    line = show(FIRST, VALIDATED)
    assert len(line) == 39
    assert "step 20/100" in line
