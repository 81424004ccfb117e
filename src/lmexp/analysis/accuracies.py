"""Accuracies of prompt tasks as a page shows them, found by the names of metrics (docs/interfaces.md).

``<task>/acc/<shots>`` with what belongs to it, whatever stage it comes from. Shares of items have Wilson's
intervals; differences have those that the stage recorded.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lmexp.analysis.drawing.formats import measured
from lmexp.analysis.statistics.intervals import Interval, normal_interval, wilson_interval

Metrics = Mapping[str, float]
MEASURES = {"acc": "accuracy", "exact_match": "exact match"}
"""What a task's items are scored by: the choice of an answer, or an answer that is generated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt task: accuracies by number of shots as (value, interval)."""

    name: str
    measure: str
    """The metric's name, `acc` or `exact_match`."""
    acc: Mapping[int, tuple[float, Interval | None]]
    permuted: Mapping[int, tuple[float, Interval | None]]
    gain: Mapping[int, tuple[float, float, float]]
    """acc(n) - acc(0), paired by item, with its 95 % interval (NaN where there is none)."""
    permutation_loss: Mapping[int, tuple[float, float, float]]
    """acc(n) - permuted_acc(n), the same way."""
    chance: float | None
    baseline: float | None
    items: float | None
    truncated: Mapping[int, float]
    """Prompts that lost tokens on their left, by number of shots."""
    unreachable: Mapping[int, float]
    """Items that could never be right, all their answers being too long."""
    dropped: float
    """Rows of the task's data that were left out."""
    equal_choices: float
    """Items with two equal wrong choices."""

    def remarks(self, num_fewshot: int | None = None) -> list[str]:
        """Return what one must know of the figures, in few words each; of one number of shots, or of all."""
        of = f" of {self.items:,.0f}" if self.items else ""
        found = []
        for what, counts in (("prompts cut", self.truncated), ("answers too long", self.unreachable)):
            for n, count in counts.items():
                if count and num_fewshot in (None, n):
                    found.append(f"{count:,.0f}{of} {what}{f' at {n} shots' if num_fewshot is None else ''}")
        found += [f"{self.dropped:,.0f} rows dropped"] if self.dropped else []
        found += [f"{self.equal_choices:,.0f} with equal choices"] if self.equal_choices else []
        return found


def tasks(metrics: Metrics) -> list[Task]:
    """Return the prompt tasks that were measured, in the order of the record."""
    names = dict.fromkeys(
        ("/".join(parts[:-2]), parts[-2])
        for parts in (key.split("/") for key in metrics)
        if len(parts) >= 3 and parts[-2] in MEASURES and parts[-1].isdigit()
    )
    return [
        Task(
            name=name,
            measure=measure,
            acc=_shares(metrics, f"{name}/{measure}", metrics.get(f"{name}/items")),
            permuted=_shares(metrics, f"{name}/permuted_{measure}", metrics.get(f"{name}/items")),
            gain=_intervals(metrics, f"{name}/gain"),
            permutation_loss=_intervals(metrics, f"{name}/permutation_loss"),
            chance=metrics.get(f"{name}/chance", metrics.get(f"{name}/chance/0")),
            baseline=metrics.get(f"{name}/baseline_acc", metrics.get(f"{name}/bigram_acc")),
            items=metrics.get(f"{name}/items"),
            truncated={n: count for n, (count, _) in _by_shots(metrics, f"{name}/truncated").items()},
            unreachable={n: count for n, (count, _) in _by_shots(metrics, f"{name}/unreachable").items()},
            dropped=metrics.get(f"{name}/dropped", 0),
            equal_choices=metrics.get(f"{name}/equal_choices", 0),
        )
        for name, measure in names
    ]


def headline_accuracy(found: list[Task]) -> tuple[str, str, str] | None:
    """Return label, value and remark of the accuracy that stands at the top of a page.

    What it is depends on no result: the gain by the most shots where there are several numbers of them,
    else the accuracy by the fewest; the mean over the tasks, with its interval.
    """
    most = max((n for task in found for n in task.gain), default=None)
    if most is not None:
        gains = [(task.gain[most], task) for task in found if most in task.gain]
        whose = f"mean of {len(gains)} tasks" if len(gains) > 1 else short_name(gains[0][1].name, found)
        gain, low, high = _mean([(value, (low, high)) for (value, low, high), _ in gains])
        interval = f"{points((low, math.nan, math.nan))} to {points((high, math.nan, math.nan))}"
        said = f"; 95 % interval {interval}" if math.isfinite(low) and math.isfinite(high) else ""
        return f"gain by {most} shots", f"{points((gain, math.nan, math.nan))} points", f"{whose}{said}"
    zero = [task.acc[min(task.acc)] for task in found]
    if not zero:
        return None
    whose = f"mean of {len(zero)} tasks" if len(zero) > 1 else short_name(found[0].name, found)
    value, low, high = _mean(zero)
    said = f"; 95 % interval {low:.3f} to {high:.3f}" if math.isfinite(low) and math.isfinite(high) else ""
    return "accuracy", measured(value, None), f"{whose}{said}"


def _mean(estimates: Sequence[tuple[float, Interval | None]]) -> tuple[float, float, float]:
    """Return the mean of independent estimates, low and high: their distances to an end add in squares."""
    n = len(estimates)
    mean = sum(value for value, _ in estimates) / n
    below, above = (
        math.hypot(*(value - ends[side] if ends else math.nan for value, ends in estimates)) / n
        for side in (0, 1)
    )
    return mean, mean - below, mean + above


def points(difference: tuple[float, float, float] | None) -> str:
    """Return a difference of accuracies in points, with its interval."""
    if difference is None:
        return ""
    value, low, high = (100 * part for part in difference)
    interval = f" ({low:+.1f} to {high:+.1f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:+.1f}{interval}"


def _intervals(metrics: Metrics, head: str) -> dict[int, tuple[float, float, float]]:
    """Return value, low and high by number of shots: the recorded interval, or else that of a normal."""
    found = {}
    for n, (value, error) in _by_shots(metrics, head).items():
        low, high = normal_interval(value, error) or (math.nan, math.nan)
        found[n] = (value, metrics.get(f"{head}/{n}/low", low), metrics.get(f"{head}/{n}/high", high))
    return found


def _shares(metrics: Metrics, head: str, items: float | None) -> dict[int, tuple[float, Interval | None]]:
    """Return shares of items by number of shots, with Wilson's intervals where the number of items is known.

    Where items come in clusters, that number is divided by the ratio of the clustered to the plain variance.
    """
    found: dict[int, tuple[float, Interval | None]] = {}
    for n, (value, error) in _by_shots(metrics, head).items():
        if not items or not math.isfinite(value):
            found[n] = (value, normal_interval(value, error))
            continue
        clustered = metrics.get(f"{head}/{n}/clustered_stderr")
        ratio = (clustered / error) ** 2 if clustered and error else 1.0
        found[n] = (value, wilson_interval(value, items / max(1.0, ratio)))
    return found


def _by_shots(metrics: Metrics, head: str) -> dict[int, tuple[float, float | None]]:
    found = {}
    for key, value in metrics.items():
        before, _, shots = key.rpartition("/")
        if before == head and shots.isdigit():
            found[int(shots)] = (value, metrics.get(f"{key}/stderr"))
    return found


def short_name(name: str, every: list[Task]) -> str:
    """Return a task's name without the handle's, where one handle has all tasks."""
    heads = {t.name.partition("/")[0] for t in every}
    return name.partition("/")[2] or name if len(heads) == 1 else name
