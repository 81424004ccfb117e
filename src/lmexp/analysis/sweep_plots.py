"""How a metric depends on one swept parameter, and the curves of all settings in one plot.

Each setting stands at its mean, with its interval over seeds, and where it is repeated each run is a dot
beside it: seeds repeat a setting and are never joined. A number becomes a line through the settings; a name
becomes a strip, one place on the axis for each. Where other parameters are swept too, each of their settings
is a line of its own, as long as colours tell them apart. A run without a result is counted, and not drawn.
"""

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmexp.analysis.drawing.axis import suits_log
from lmexp.analysis.drawing.markup import Html
from lmexp.analysis.drawing.svg import COLORS, Plot, Series, figure
from lmexp.analysis.statistics.compared import Compared
from lmexp.analysis.statistics.curve import Curve, curves_of
from lmexp.analysis.statistics.intervals import Interval
from lmexp.analysis.statistics.standing import Setting, Standing
from lmexp.analysis.statistics.thin import Point

_CURVES = ("loss", "bits_per_byte")
_FEW_KEYS = 4
"""Curves that are drawn of a stage that has none of a name in `_CURVES`."""


@dataclasses.dataclass(frozen=True)
class _Place:
    """A setting on the axis of one parameter."""

    x: float
    mean: float | None
    interval: Interval | None
    values: Sequence[float]
    """The result of each of its runs that has one."""
    missing: int
    """Runs without one."""


def parameter_figure(key: str, compared: Compared, standing: Standing) -> Html:
    """Return the plot of the headline metric over the parameter `key`."""
    at, categories = _axis(key, compared, standing)
    series = [
        one
        for color, (label, places) in enumerate(_groups(key, compared, standing, at).items(), start=1)
        for one in _series(label, places, color, named=bool(categories))
    ]
    drawn = [x for one in series for x, value in one.points if math.isfinite(value)]
    bars = any(interval is not None for one in series for interval in one.intervals)
    return figure(
        Plot(
            title=key,
            x_label=key,
            y_label=str(compared.metric),
            series=series,
            categories=categories,
            log_x=not categories and suits_log(drawn),
            whole_x=True,
            note="Bars are 95 % intervals over seeds." if bars else "",
        )
    )


def curves_figures(compared: Compared, standing: Standing) -> list[Html]:
    """Return, for each loss that a stage logs, the curves of all settings in one plot."""
    chosen = sorted(range(len(standing.settings)), key=lambda i: _rank(i, standing))[:COLORS]
    found: dict[tuple[str, str], list[tuple[int, Curve]]] = {}
    for i in sorted(chosen):
        drawn: set[str] = set()
        for point in standing.settings[i].points:
            run = compared.runs[point]
            for handle, entry in run.stages.items():
                if entry["artifact"] in drawn:  # the same artifact in several runs is one curve
                    continue
                drawn.add(entry["artifact"])
                for name, curve in _curves(run.artifact(handle), run.path.parents[1]).items():
                    found.setdefault((handle, name), []).append((i, curve))
    left = len(standing.settings) - len(chosen)
    note = f"The {len(chosen)} leading of {len(standing.settings)} settings." if left else ""
    shared = {key for key, curves in found.items() if len({i for i, _ in curves}) > 1}
    return [
        figure(
            Plot(
                title=f"{handle}: {name}",
                x_label="step",
                y_label=name,
                series=_overlaid(found[handle, name], compared, standing),
                note=note,
            )
        )
        for handle, name in found
        if (handle, name) in shared
    ]


def label_of(setting: Setting, compared: Compared) -> str:
    """Return a setting as the overrides that make it."""
    pairs = zip(compared.parameters, setting.values, strict=True)
    return ", ".join(f"{key}={value}" for key, value in pairs) or "all points"


def _overlaid(curves: Sequence[tuple[int, Curve]], compared: Compared, standing: Standing) -> list[Series]:
    """Return curves of settings, those of one setting in one colour and once in the legend."""
    colors = {i: color for color, i in enumerate(dict.fromkeys(i for i, _ in curves), start=1)}
    found: list[Series] = []
    for place, (i, curve) in enumerate(curves):
        first = all(i != other for other, _ in curves[:place])
        label = label_of(standing.settings[i], compared)
        points = curve.means or curve.points
        found.append(Series(label=label, points=points, color=colors[i], in_legend=first))
    return found


def _curves(artifact: Path, root: Path) -> Mapping[str, Curve]:
    """Return the curves of an artifact that are worth comparing: losses, or else its first few."""
    curves = curves_of(artifact, root / "cache")
    losses = {key: curve for key, curve in curves.items() if key.rpartition("/")[2] in _CURVES}
    return losses or dict(list(curves.items())[:_FEW_KEYS])


def _rank(i: int, standing: Standing) -> tuple[float, int]:
    """Return how far a setting is from the leading one; those without a result come last."""
    difference = standing.differences[i]
    if i == standing.leader:
        return 0.0, i
    return (math.inf if difference is None else abs(difference.value)), i


def _series(label: str, places: Sequence[_Place], color: int, *, named: bool) -> list[Series]:
    """Return the means of one line's settings, and their runs where a setting is repeated."""
    found = sorted((p for p in places if p.mean is not None), key=lambda p: p.x)
    means = [(p.x, p.mean) for p in found if p.mean is not None]
    missing = [p.x for p in places for _ in range(p.missing)]
    repeated = any(len(p.values) > 1 for p in places)
    whole = Series(
        label=label or ("mean" if repeated else "each run"),
        points=means,
        intervals=[p.interval for p in found],
        missing=[] if repeated else missing,
        derived=repeated,
        mark="level" if named and repeated else ("dots" if named else "both"),
        color=color if label or not repeated else 2,
    )
    if not repeated:
        return [whole]
    points: list[Point] = [(p.x, value) for p in places for value in p.values]
    each = Series(
        label=label or "each run",
        points=points,
        missing=missing,
        mark="dots",
        color=color,
        in_legend=not label,
    )
    mean = dataclasses.replace(whole, label=f"{label}, mean" if label else "mean")
    return [mean if named else dataclasses.replace(mean, mark="line"), each]


def _axis(key: str, compared: Compared, standing: Standing) -> tuple[list[float], list[str]]:
    """Return where each setting stands on the axis, and the axis' names where it has names."""
    if key not in compared.parameters:  # nothing but seeds were swept
        return [0.0] * len(standing.settings), ["all points"]
    place = compared.parameters.index(key)
    texts = [setting.values[place] for setting in standing.settings]
    numbers = [value for value in map(_number, texts) if value is not None]
    if len(numbers) == len(texts):
        return numbers, []
    categories = list(dict.fromkeys(texts))
    return [float(categories.index(text)) for text in texts], categories


def _groups(key: str, compared: Compared, standing: Standing, at: Sequence[float]) -> dict[str, list[_Place]]:
    """Return the settings by those of the other parameters; together where colours would not do."""
    groups: dict[str, list[_Place]] = {}
    for setting, x in zip(standing.settings, at, strict=True):
        pairs = zip(compared.parameters, setting.values, strict=True)
        label = ", ".join(f"{other}={value}" for other, value in pairs if other != key)
        values = [compared.values[i] for i in setting.points if _counts(i, setting, compared)]
        missing = sum(compared.values[i] is None for i in setting.points)
        whole = [value for value in values if value is not None]
        place = _Place(x, setting.mean, setting.interval, whole, missing)
        groups.setdefault(label, []).append(place)
    if len(groups) <= COLORS:
        return groups
    return {"": _pooled([place for places in groups.values() for place in places])}


def _counts(point: int, setting: Setting, compared: Compared) -> bool:
    """Whether a point is a repetition of its own, or has a result that is not finite and said to be so."""
    value = compared.values[point]
    return point in setting.observed or (value is not None and not math.isfinite(value))


def _pooled(places: Sequence[_Place]) -> list[_Place]:
    """Return one place for each x, at the mean of the means there."""
    found = []
    for x in dict.fromkeys(place.x for place in places):
        here = [place for place in places if place.x == x]
        means = [place.mean for place in here if place.mean is not None]
        values = [value for place in here for value in place.values]
        mean = statistics.fmean(means) if means else None
        found.append(_Place(x, mean, None, values, sum(place.missing for place in here)))
    return found


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(text)
        return value if math.isfinite(value) else None
    return None
