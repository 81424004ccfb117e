"""How good the model is: bits per byte beside what compresses the same text, accuracies beside chance.

Everything is found by the names of metrics (docs/interfaces.md), whatever stage they come from:
``<...>/bits_per_byte`` beside ``<...>/<who>_bits_per_byte``, and ``<task>/acc/<shots>`` with what belongs to
it. Bars are 95 % intervals, 1.96 standard errors to both sides; numbers stand with one standard error.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from lmexp.analysis.dots import Dot, DotPlot, dot_figure
from lmexp.analysis.formats import measured
from lmexp.analysis.markup import Html, join, table, tag
from lmexp.analysis.svg import Z95, Plot, Series, figure

Metrics = Mapping[str, float]
_WHO = {"": "the model", "gzip": "gzip -9", "xz": "xz -9e", "zstd": "zstd -19", "true": "the source itself"}
_COMPRESSORS, _TRUE, _ENTROPY, _REGRET = ("gzip", "xz", "zstd"), "true", "entropy", "regret"
_MEASURES = {"acc": "accuracy", "exact_match": "exact match"}
"""What a task's items are scored by: the choice of an answer, or an answer that is generated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt task: accuracies by number of shots as (value, standard error)."""

    name: str
    measure: str
    """The metric's name, `acc` or `exact_match`."""
    acc: Mapping[int, tuple[float, float | None]]
    permuted: Mapping[int, tuple[float, float | None]]
    gain: Mapping[int, tuple[float, float, float]]
    """acc(n) - acc(0), paired by item, with its 95 % interval (NaN where there is none)."""
    permutation_loss: Mapping[int, tuple[float, float, float]]
    """acc(n) - permuted_acc(n), the same way."""
    chance: float | None
    bigram: float | None
    items: float | None


def bits_per_byte(metrics: Metrics) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Return, for each text that was measured, who spends how many bits on each byte, with standard error.

    The model's own name is empty.
    """
    found: dict[str, dict[str, tuple[float, float | None]]] = {}
    for key, value in metrics.items():
        head, _, name = key.rpartition("/")
        if head and name.endswith("bits_per_byte"):
            who = name.removesuffix("bits_per_byte").rstrip("_")
            found.setdefault(head, {})[who] = (value, metrics.get(f"{key}/stderr"))
    return found


def tasks(metrics: Metrics) -> list[Task]:
    """Return the prompt tasks that were measured, in the order of the record."""
    names = dict.fromkeys(
        ("/".join(parts[:-2]), parts[-2])
        for parts in (key.split("/") for key in metrics)
        if len(parts) >= 3 and parts[-2] in _MEASURES and parts[-1].isdigit()
    )
    return [
        Task(
            name=name,
            measure=measure,
            acc=_by_shots(metrics, f"{name}/{measure}"),
            permuted=_by_shots(metrics, f"{name}/permuted_{measure}"),
            gain=_intervals(metrics, f"{name}/gain"),
            permutation_loss=_intervals(metrics, f"{name}/permutation_loss"),
            chance=metrics.get(f"{name}/chance", metrics.get(f"{name}/chance/0")),
            bigram=metrics.get(f"{name}/bigram_acc"),
            items=metrics.get(f"{name}/items"),
        )
        for name, measure in names
    ]


def quality_section(metrics: Metrics) -> Html:
    """Return the plots of bits per byte and of accuracies; empty where nothing was measured."""
    found = [_bits_figure(head, values) for head, values in bits_per_byte(metrics).items()]
    measured_tasks = tasks(metrics)
    several = [t for t in measured_tasks if len(t.acc) > 1 or t.permuted]
    found += [_shots_figure(t, _short(t.name, measured_tasks)) for t in several]
    single = [t for t in measured_tasks if t not in several]
    if single:
        found.append(_tasks_figure(single, measured_tasks))
    parts = [tag("div", *found, class_="plots")] if found else []
    if any(t.gain or t.permutation_loss for t in several):
        parts.append(_differences(several))
    return join(parts)


def _bits_figure(head: str, values: Mapping[str, tuple[float, float | None]]) -> Html:
    rows = [
        (_WHO.get(who, who), [Dot(series="bits per byte", value=value, error=error)])
        for who, (value, error) in sorted(values.items(), key=lambda item: (item[0] != "", item[1][0]))
        if who not in (_ENTROPY, _REGRET)
    ]
    entropy = values.get(_ENTROPY)
    return dot_figure(
        DotPlot(
            title=f"Bits per byte: {head}",
            x_label="bits per byte, fewer is better",
            rows=rows,
            references=[("exact entropy of the source", entropy[0])] if entropy else (),
            note=_bits_note(values),
        )
    )


def _bits_note(values: Mapping[str, tuple[float, float | None]]) -> str:
    """Return what stands beside the model, whether there are bars, and the regret, as far as it is shown."""
    beside = ["compressors"] if any(who in values for who in _COMPRESSORS) else []
    beside += ["the source itself"] if _TRUE in values else []
    said = [f"The model beside {' and '.join(beside)} on the same held-out text."] if beside else []
    said += _bars(error for who, (_, error) in values.items() if who not in (_ENTROPY, _REGRET))
    if _REGRET in values:
        said.append(f"The model spends {measured(*values[_REGRET])} bits per byte beyond the source itself.")
    return " ".join(said)


def _bars(errors: Iterable[float | None]) -> list[str]:
    """Return the sentence on the bars of a plot, where one is drawn."""
    drawn = any(error is not None and math.isfinite(error) and error > 0 for error in errors)
    return ["Bars are 95 % intervals."] if drawn else []


def _shots_figure(task: Task, name: str) -> Html:
    shots = sorted({*task.acc, *task.permuted})
    at = {n: float(i) for i, n in enumerate(shots)}
    series = [
        Series(
            label=label,
            points=[(at[n], values[n][0]) for n in sorted(values)],
            errors=[values[n][1] for n in sorted(values)],
            mark=mark,  # type: ignore[arg-type]
            color=color,
        )
        for label, values, mark, color in (
            ("true labels in the shots", task.acc, "both", 1),
            ("permuted labels", task.permuted, "hollow", 2),
        )
        if values
    ]
    if not task.permuted:
        series = [dataclasses.replace(series[0], label="the model")]
    references = [("chance", task.chance)] if task.chance is not None else []
    references += [("bigram model, zero shots", task.bigram)] if task.bigram is not None else []
    said = [f"{task.items:,.0f} items."] if task.items else []
    said += _bars(error for one in series for error in one.errors)
    return figure(
        Plot(
            title=f"{_MEASURES[task.measure].capitalize()} by shots: {name}",
            x_label="worked examples before the item (shots)",
            y_label=_MEASURES[task.measure],
            series=series,
            references=references,
            categories=[str(n) for n in shots],
            note=" ".join(said),
        )
    )


def _tasks_figure(single: list[Task], every: list[Task]) -> Html:
    rows = []
    for task in single:
        ((value, error),) = task.acc.values()
        dots = [Dot(series="the model", value=value, error=error)]
        dots += [Dot(series="bigram model", value=task.bigram)] if task.bigram is not None else []
        rows.append((_short(task.name, every), dots))
    chances = {task.chance for task in single}
    chance = next(iter(chances)) if len(chances) == 1 else None
    what = " or ".join(dict.fromkeys(_MEASURES[task.measure] for task in single))
    shots = sorted({n for task in single for n in task.acc})
    items = {task.items for task in single}
    said = [f"{next(iter(items)):,.0f} items each."] if len(items) == 1 and None not in items else []
    said += _bars(dot.error for _, dots in rows for dot in dots)
    return dot_figure(
        DotPlot(
            title=f"{what.capitalize()} with {' or '.join(map(str, shots))} shots",
            x_label=what,
            rows=rows,
            references=[("chance", chance)] if chance is not None else (),
            note=" ".join(said),
        )
    )


def _differences(several: list[Task]) -> Html:
    rows = []
    for task in several:
        for n in sorted({*task.gain, *task.permutation_loss}):
            cells = [_points(values.get(n)) for values in (task.gain, task.permutation_loss)]
            rows.append((_short(task.name, several), n, *cells))
    headers = ("task", "shots", "gain over zero shots", "loss by permuted labels")
    caption = "Differences of accuracy in points, paired by item, with 95 % intervals"
    return table(headers, rows, caption=caption, numeric=(1, 2, 3))


def _points(difference: tuple[float, float, float] | None) -> str:
    if difference is None:
        return ""
    value, low, high = (100 * part for part in difference)
    interval = f" ({low:+.1f} to {high:+.1f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:+.1f}{interval}"


def headline_accuracy(found: list[Task]) -> tuple[str, str, str] | None:
    """Return label, value and remark of the accuracy that stands at the top of a page."""
    gains = [(t.gain[n][0], n, t) for t in found for n in t.gain]
    if gains:
        gain, n, task = max(gains, key=lambda item: item[0])
        among = f", the greatest of {len(gains)}" if len(gains) > 1 else ""
        return f"gain by {n} shots", f"{100 * gain:+.1f} points", f"{_short(task.name, found)}{among}"
    zero = [t.acc[min(t.acc)] for t in found]
    if not zero:
        return None
    if len(zero) == 1:
        return "accuracy", measured(*zero[0]), _short(found[0].name, found)
    return "accuracy", f"{sum(v for v, _ in zero) / len(zero):.3f}", f"mean of {len(zero)} tasks"


def _intervals(metrics: Metrics, head: str) -> dict[int, tuple[float, float, float]]:
    """Return value, low and high by number of shots: the recorded interval, or else 1.96 standard errors."""
    found = {}
    for n, (value, error) in _by_shots(metrics, head).items():
        margin = math.nan if error is None else Z95 * error
        low = metrics.get(f"{head}/{n}/low", value - margin)
        found[n] = (value, low, metrics.get(f"{head}/{n}/high", value + margin))
    return found


def _by_shots(metrics: Metrics, head: str) -> dict[int, tuple[float, float | None]]:
    found = {}
    for key, value in metrics.items():
        before, _, shots = key.rpartition("/")
        if before == head and shots.isdigit():
            found[int(shots)] = (value, metrics.get(f"{key}/stderr"))
    return found


def _short(name: str, every: list[Task]) -> str:
    """Return a task's name without the handle's, where one handle has all tasks."""
    heads = {t.name.partition("/")[0] for t in every}
    return name.partition("/")[2] or name if len(heads) == 1 else name
