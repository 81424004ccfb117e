"""How good the model is: bits per byte beside what compresses the same text, accuracies beside chance.

Everything is found by the names of metrics, whatever stage they come from (`analysis.bits`,
`analysis.accuracies`). Bars are 95 % intervals: Wilson's of a share of items, Student's of a mean over
documents.
"""

import dataclasses
from collections.abc import Iterable

from lmexp.analysis.accuracies import MEASURES, Metrics, Task, points, short_name, tasks
from lmexp.analysis.drawing.dots import Dot, DotPlot, dot_figure
from lmexp.analysis.drawing.formats import measured
from lmexp.analysis.drawing.markup import Html, join, table, tag
from lmexp.analysis.drawing.svg import Plot, Series, figure
from lmexp.analysis.statistics.bits import (
    COMPRESSORS,
    Bits,
    bits_per_byte,
    is_bound,
    loses_to_compressors,
    remarks,
)
from lmexp.analysis.statistics.intervals import Interval, normal_interval, t_quantile
from lmexp.analysis.statistics.sizes import size_rows

_TRUE, _ENTROPY, _REGRET = "true", "entropy", "regret"
_WHO = {
    "": "the model",
    **COMPRESSORS,
    _TRUE: "the source itself",
    "two_part": "the model, told with the text",
    "zstd_dictionary": "zstd -19, its dictionary known",
    "zstd_dictionary_two_part": "zstd -19, told with its dictionary",
}


def quality_section(metrics: Metrics) -> Html:
    """Return the plots of bits per byte and of accuracies; empty where nothing was measured."""
    found = [_bits_figure(head, values, metrics) for head, values in bits_per_byte(metrics).items()]
    measured_tasks = tasks(metrics)
    several = [t for t in measured_tasks if len(t.acc) > 1 or t.permuted]
    found += [_shots_figure(t, short_name(t.name, measured_tasks)) for t in several]
    single = [t for t in measured_tasks if t not in several]
    if single:
        found.append(_tasks_figure(single, measured_tasks))
    parts = [tag("div", *found, class_="plots")] if found else []
    if any(t.gain or t.permutation_loss for t in several):
        parts.append(_differences(several))
    if sizes := size_rows(metrics):
        caption = "What the model and the text take, when both have to be told"
        parts.append(table(sizes[0], sizes[1:], caption=caption, numeric=(2, 3, 4)))
    parts += [tag("p", f"{head}: {said}") for head, said in remarks(metrics).items()]
    return join(parts)


def _bits_figure(head: str, values: Bits, metrics: Metrics) -> Html:
    documents = metrics.get(f"{head}/documents")
    at_most = is_bound(metrics, f"{head}/bits_per_byte")
    rows = [
        (
            "the model, at most" if at_most and not who else _WHO.get(who, who),
            [_bits_dot(value, error, documents)],
        )
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
            note=_bits_note(values, loses_to_compressors(metrics, head), at_most=at_most),
        )
    )


def _bits_dot(value: float, error: float | None, documents: float | None) -> Dot:
    """Return a mean over documents with Student's interval, where their number is known."""
    interval = None
    if error is not None and documents is not None and documents > 1:
        margin = t_quantile(documents - 1) * error
        interval = (value - margin, value + margin)
    return Dot(series="bits per byte", value=value, error=error, interval=interval)


def _bits_note(values: Bits, lost: str, *, at_most: bool) -> str:
    """Return what stands beside the model, whether there are bars, and how the model does beside it."""
    beside = ["compressors"] if any(who in values for who in COMPRESSORS) else []
    beside += ["the source itself"] if _TRUE in values else []
    said = [f"The model beside {' and '.join(beside)} on the same held-out text."] if beside else []
    said += _bars(normal_interval(*pair) for who, pair in values.items() if who not in (_ENTROPY, _REGRET))
    said += [lost] if lost else []
    if at_most:
        said.append("The model's figure is an upper bound, by the mean of draws: its own is at most that.")
    if _REGRET in values:
        least = "at most " if at_most else ""
        said.append(
            f"The model spends {least}{measured(*values[_REGRET])} bits per byte beyond the source itself."
        )
    return " ".join(said)


def _bars(intervals: Iterable[Interval | None]) -> list[str]:
    """Return the sentence on the bars of a plot, where one is drawn."""
    drawn = any(interval is not None and interval[0] < interval[1] for interval in intervals)
    return ["Bars are 95 % intervals."] if drawn else []


def _shots_figure(task: Task, name: str) -> Html:
    shots = sorted({*task.acc, *task.permuted})
    at = {n: float(i) for i, n in enumerate(shots)}
    series = [
        Series(
            label=label,
            points=[(at[n], values[n][0]) for n in sorted(values)],
            intervals=[values[n][1] for n in sorted(values)],
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
    references += [("bigram model, zero shots", task.baseline)] if task.baseline is not None else []
    said = [f"{task.items:,.0f} items."] if task.items else []
    said += _bars(interval for one in series for interval in one.intervals)
    said += [f"{remark}." for remark in task.remarks()]
    return figure(
        Plot(
            title=f"{MEASURES[task.measure].capitalize()} by shots: {name}",
            x_label="worked examples before the item (shots)",
            y_label=MEASURES[task.measure],
            series=series,
            references=references,
            categories=[str(n) for n in shots],
            note=" ".join(said),
        )
    )


def _tasks_figure(single: list[Task], every: list[Task]) -> Html:
    rows = []
    for task in single:
        ((value, interval),) = task.acc.values()
        dots = [Dot(series="the model", value=value, interval=interval)]
        dots += [Dot(series="bigram model", value=task.baseline)] if task.baseline is not None else []
        rows.append((short_name(task.name, every), dots))
    chances = {task.chance for task in single}
    chance = next(iter(chances)) if len(chances) == 1 else None
    what = " or ".join(dict.fromkeys(MEASURES[task.measure] for task in single))
    shots = sorted({n for task in single for n in task.acc})
    items = {task.items for task in single}
    said = [f"{next(iter(items)):,.0f} items each."] if len(items) == 1 and None not in items else []
    said += _bars(dot.bar for _, dots in rows for dot in dots)
    said += [f"{short_name(t.name, every)}: {', '.join(t.remarks())}." for t in single if t.remarks()]
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
            cells = [points(values.get(n)) for values in (task.gain, task.permutation_loss)]
            rows.append((short_name(task.name, several), n, *cells))
    headers = ("task", "shots", "gain over zero shots", "loss by permuted labels")
    caption = "Differences of accuracy in points, paired by item, with 95 % intervals"
    return table(headers, rows, caption=caption, numeric=(1, 2, 3))
