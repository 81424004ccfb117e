"""Runs, sweeps and curves for a program or a notebook: what the command line does, as functions.

In a notebook nothing scrolls: while stages run, one block of output shows the newest lines, and at the end it
is a short table. `curve` gives what there is to plot.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, cast

from lmexp.analysis.report import report_at_end, sweep_report_at_end
from lmexp.analysis.summary import headline
from lmexp.core.graph.compose import CONFIG_NAME, Composition, Origin, compose, compose_with, hydra_of
from lmexp.core.graph.multirun import planned_sweep
from lmexp.core.records.runs import PAGE, Run
from lmexp.core.records.sweeps import note_point, note_sweep
from lmexp.core.running.session import run_composition
from lmexp.core.store.store import Store
from lmexp.core.values.files import read_lines
from lmexp.core.values.terminal import printable
from lmexp.errors import ConfigError, Interrupted, LmexpError, nearest

_SHOWN_LINES = 12
"""Newest lines of progress that a notebook shows."""


def run_experiment(
    overrides: Sequence[str],
    *,
    config_name: str = CONFIG_NAME,
    config_dir: str | None = None,
    quiet: bool = False,
) -> Run:
    """Run one experiment and return its run. Errors: `lmexp.errors.LmexpError`."""
    return _run(compose(list(overrides), config_name=config_name, config_dir=config_dir), quiet=quiet)


def run_sweep(
    overrides: Sequence[str],
    *,
    config_name: str = CONFIG_NAME,
    config_dir: str | None = None,
    quiet: bool = False,
) -> list[Run]:
    """Run every point that the overrides' comma-separated values make and return their runs, in order.

    The sweep has its record and its page, as with ``-m``.
    Errors: `LmexpError` of the first point that failed, after the others have run; `Interrupted` at once.
    """
    origin = Origin(overrides=tuple(overrides), config_name=config_name, config_dir=config_dir)
    with hydra_of(origin) as hydra:
        sweep = planned_sweep(hydra, origin, multirun=True)
        assert sweep is not None, "multirun is asked for"
        points = [
            compose_with(hydra, Origin(overrides=p, config_name=config_name, config_dir=config_dir))
            for p in sweep.points
        ]
    store = Store(sweep.store)
    store.prepare()
    words = Origin(
        overrides=("-m", *origin.overrides), config_name=config_name, config_dir=config_dir
    ).command
    note_sweep(store, sweep.group, command=words, num_points=len(points))
    runs: list[Run] = []
    failed: LmexpError | None = None
    for index, (point, words_of) in enumerate(zip(points, sweep.points, strict=True)):
        note = functools.partial(note_point, store, sweep.group, index=index, overrides=words_of)
        code = 0
        try:
            runs.append(_run(point, quiet=quiet, group=sweep.group, note=note))
        except LmexpError as error:
            failed, code = failed or error, error.exit_code
            if isinstance(error, Interrupted):  # the points that follow do not start
                failed = error
        note(run=None, exit_code=code)
        if isinstance(failed, Interrupted):
            break
    sweep_report_at_end(store, sweep.group)
    if failed is not None:
        raise failed
    return runs


def curve(run: Run, stage: str = "pretrain") -> Any:
    """Return what a stage logged: a pandas data frame indexed by step, or a list of dicts without pandas.

    Errors: `ConfigError` for a stage that the run has not, or that has no curve.
    """
    path = run.artifact(stage) / "metrics.jsonl"
    if not path.is_file():
        raise ConfigError(
            f"the stage {stage} of run {run.name} has no curve{nearest(stage, _with_curves(run))}."
        )
    merged: dict[int, dict[str, Any]] = {}
    for point in read_lines(path):
        if "step" in point:  # an attempt that was resumed may have logged a step twice
            merged[int(point["step"])] = {**merged.get(int(point["step"]), {}), **point}
    points = [merged[step] for step in sorted(merged)]
    try:
        import pandas
    except ImportError:
        return points
    return pandas.DataFrame(points).set_index("step")


def _with_curves(run: Run) -> list[str]:
    return [name for name in run.stages if (run.artifact(name) / "metrics.jsonl").is_file()]


def _run(
    composition: Composition,
    *,
    quiet: bool,
    group: str | None = None,
    note: Callable[..., None] | None = None,
) -> Run:
    def ended(run: Run) -> None:
        if note is not None:
            note(run=run.name, exit_code=None)
        report_at_end(run)

    if quiet or not in_notebook():
        return run_composition(composition, quiet=quiet, group=group, at_end=ended).run
    block = Block()
    try:
        run = run_composition(composition, stream=cast(TextIO, block), group=group, at_end=ended).run
    except BaseException:
        block.close()
        raise
    block.show_run(run)
    return run


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, whose output is a page and no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class Block:
    """One block of a notebook's output, written to like a terminal and replaced as it changes."""

    def __init__(self) -> None:
        display: Callable[..., Any] = sys.modules["IPython"].display.display
        self._lines: list[str] = []
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def isatty(self) -> bool:
        """It shows a line that changes in place."""
        return True

    def write(self, text: str) -> int:
        """Add text; a line that is erased is replaced by what comes after."""
        for part in text.replace("\r\x1b[K", "\r").splitlines(keepends=True) or [text]:
            if part.startswith("\r") or not self._lines or self._lines[-1].endswith("\n"):
                self._lines = [*(line for line in self._lines if line.endswith("\n")), part.lstrip("\r")]
            else:
                self._lines[-1] += part
        return len(text)

    def flush(self) -> None:
        """Show the newest lines."""
        shown = "".join(self._lines).splitlines()[-_SHOWN_LINES:]
        self._handle.update({"text/plain": printable("\n".join(shown))}, raw=True)

    def close(self) -> None:
        """Leave nothing behind: what went wrong is said by the exception."""
        self._handle.update({"text/plain": ""}, raw=True)

    def show_run(self, run: Run) -> None:
        """Replace the progress by the run's table and the path of its page."""
        self._handle.update({"text/plain": f"{headline(run)}\n\nreport: {run.path / PAGE}"}, raw=True)
