"""What a person sees while stages run: one line a stage, live in a terminal."""

import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from lmexp.core.graph.plan import Plan, Verdict
from lmexp.core.provenance.drift import named
from lmexp.core.store.record import Record
from lmexp.core.values.files import LineFollower
from lmexp.core.values.numbers import number
from lmexp.core.values.spelling import override
from lmexp.core.values.terminal import erase_line, printable

_REFRESH_S = 0.5
_QUIET_REFRESH_S = 30.0


class Console:
    """Prints progress to standard error; a terminal shows a line that changes in place."""

    def __init__(self, plan: Plan, stream: TextIO | None = None) -> None:
        self._plan = plan
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._silent = False
        self._width = max((len(s.name) for s in plan.stages), default=0)
        self._current: tuple[str, LineFollower, float] | None = None
        self._said: LineFollower | None = None
        self._doing = ""
        self._shown_at = 0.0
        self._first: Mapping[str, Any] | None = None
        self._last: dict[str, Any] = {}

    def header(self, text: str) -> None:
        """Print a line of its own."""
        self._line(text)

    def waiting(self, name: str, who: Mapping[str, Any]) -> None:
        """Say who computes the stage."""
        self._line(f"{name:{self._width}}  waiting for process {who.get('pid')} on {who.get('host')}")

    def started(self, name: str, attempt: Path, from_step: int | None) -> None:
        """Say that a stage starts or goes on."""
        curve = LineFollower(attempt / "metrics.jsonl")
        curve.new()  # points of an attempt before this one say nothing about the time left
        self._current = (name, curve, time.monotonic())
        self._shown_at, self._first, self._last = time.monotonic(), None, {}
        self._said, self._doing = LineFollower(attempt / "said.jsonl"), ""
        self._line(
            f"{name:{self._width}}  " + ("runs" if from_step is None else f"resumes from step {from_step}")
        )

    def tick(self) -> None:
        """Refresh the progress line now and then; say at once what is done before the first point."""
        now = time.monotonic()
        if self._current is not None and self._first is None and self._said is not None:
            for line in self._said.new():
                self._doing, self._shown_at = str(line.get("text", "")), -math.inf if self._live else now
                if not self._live:
                    self._line(f"{self._current[0]:{self._width}}  {self._doing}")
        if self._current is None or now - self._shown_at < (_REFRESH_S if self._live else _QUIET_REFRESH_S):
            return
        self._shown_at = now
        name, curve, started = self._current
        text = f"{name:{self._width}}  {_duration(now - started)}{self._progress(name, curve)}"
        if self._live:
            self._write(text[: shutil.get_terminal_size().columns - 1])
        else:
            self._line(text)

    def finished(self, name: str, record: Record, action: str, changed: Sequence[str] = ()) -> None:
        """Say what became of a stage, and what of its code has changed since it was computed."""
        since = f"; changed since: {named(changed)}" if changed else ""
        seconds = "" if action == "reused" else f"  {_duration(record.data['seconds'])}"
        self._line(f"{name:{self._width}}  {action}{seconds}  {record.name}{since}")
        self._current = None

    def _progress(self, name: str, curve: LineFollower) -> str:
        """Return step, time left and the newest value of each number: losses, then rates, then the rest."""
        for point in curve.new():
            if "step" in point:
                self._first = self._first or point
                self._last |= point
        if self._first is None:
            return f"  {self._doing}" if self._doing else ""
        last = self._last
        handle = self._plan.by_name[name].handle
        total = handle.stage.total_steps(handle.config) if handle.stage.total_steps else None
        text = f"  step {last['step']}" + (f"/{total}" if total else "")
        steps = last["step"] - self._first["step"]
        if total and steps > 0:
            left = (last["time"] - self._first["time"]) / steps * (total - last["step"])
            text += f"  {_duration(left)} left"
        shown = (key for key in last if key not in ("step", "time") and _is_number(last[key]))
        return text + "".join(f"  {_words(key)} {number(last[key])}" for key in sorted(shown, key=_place))

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        """Write, and go silent for good once nobody reads: a lost terminal must not stop a run."""
        if self._silent:
            return
        try:
            if self._live:
                erase_line(self._stream)
            self._stream.write(printable(text))
            self._stream.flush()
        except (OSError, ValueError):
            self._silent = True


def plan_lines(plan: Plan, verdicts: Mapping[str, Verdict], left_behind: Mapping[str, Any]) -> list[str]:
    """Return one line a stage: name, action, reason; and one for each hint of what is to run.

    `left_behind` are keys of the experiment that mean nothing to a kind that was chosen in their place.
    """
    width = max((len(s.name) for s in plan.stages), default=0)
    lines = [f"{name:{width}}  {v.action:6}  {v.reason}" for name, v in verdicts.items()]
    for planned in plan.stages:
        if verdicts[planned.name].action != "reuse":
            lines += [f"note: {hint}" for hint in planned.handle.stage.hints(planned.handle.config)]
    if left_behind:
        words = ", ".join(override(key, value) for key, value in left_behind.items())
        lines.append(f"note: the experiment's {words} are of another kind and do not hold")
    return lines


def _duration(seconds: float) -> str:
    """Return seconds below a minute with a decimal, else m:ss or h:mm:ss."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _place(key: str) -> int:
    return 0 if key.endswith("loss") else 1 if key.endswith("_per_second") else 2


def _words(key: str) -> str:
    """Return `train/loss` as loss, `validation/loss` as validation loss, `tokens_per_second` as tokens/s."""
    return key.removeprefix("train/").replace("/", " ").replace("_per_second", "/s")
