"""How a metric depends on one swept parameter.

A number becomes a line through the runs, each a dot. Where a setting has several runs, the line goes
through their means, and the dots show the spread over seeds. Where other parameters are swept too, each of
their settings is a line of its own, as long as colours tell them apart. A name, and a seed, become a strip:
one place on the axis for each value, with a bar at the mean of its runs. A run without a result is counted,
and not drawn.
"""

import contextlib
import dataclasses
import math
import statistics
from collections.abc import Sequence

from lmexp.analysis.axis import suits_log
from lmexp.analysis.compared import Compared, is_seed
from lmexp.analysis.markup import Html
from lmexp.analysis.svg import COLORS, Plot, Series, figure
from lmexp.analysis.thin import Point

_Run = tuple[float, float | None]
"""Where a run stands on the axis, and its result; None where it has none."""


def parameter_figure(key: str, compared: Compared) -> Html:
    """Return the plot of the headline metric over the parameter `key`."""
    places, categories = _places(key, compared)
    groups = _groups(key, compared, places)
    series = [
        one
        for color, (label, runs) in enumerate(groups.items(), start=1)
        for one in _series(label, runs, color, named=bool(categories))
    ]
    drawn = [x for one in series for x, value in one.points if math.isfinite(value)]
    return figure(
        Plot(
            title=key,
            x_label=key,
            y_label=str(compared.metric),
            series=series,
            categories=categories,
            log_x=not categories and suits_log(drawn),
            whole_x=True,
        )
    )


def _series(label: str, runs: Sequence[_Run], color: int, *, named: bool) -> list[Series]:
    """Return the runs of one setting, and their means where the setting is repeated; `named` has a strip."""
    points = [(x, value) for x, value in runs if value is not None]
    missing = [x for x, value in runs if value is None]
    means = _means(points)
    repeated = len(means) < sum(math.isfinite(value) for _, value in points)
    each = Series(label=label or "each run", points=points, missing=missing, mark="dots", color=color)
    mean = Series(label=f"{label}, mean" if label else "mean", points=means, color=color, derived=True)
    if named and not label:
        return [dataclasses.replace(mean, mark="level", color=2), each] if repeated else [each]
    if not repeated:
        return [dataclasses.replace(each, points=sorted(points, key=lambda p: p[0]), mark="both")]
    return [mean, dataclasses.replace(each, in_legend=not label)] if len(means) > 1 else [each]


def _places(key: str, compared: Compared) -> tuple[list[float], list[str]]:
    """Return where each point stands on the axis, and the axis' names where it has names."""
    texts = [setting.get(key, "") for setting in compared.settings]
    numbers = [value for value in map(_number, texts) if value is not None]
    if len(numbers) == len(texts) and not is_seed(key):
        return numbers, []
    categories = list(dict.fromkeys(texts))
    return [float(categories.index(text)) for text in texts], categories


def _groups(key: str, compared: Compared, places: Sequence[float]) -> dict[str, list[_Run]]:
    """Return the points by the setting of the other parameters; together where colours would not do."""
    others = [other for other in compared.parameters if other != key]
    groups: dict[str, list[_Run]] = {}
    for setting, x, value in zip(compared.settings, places, compared.values, strict=True):
        label = ", ".join(f"{other}={setting.get(other, '')}" for other in others)
        groups.setdefault(label, []).append((x, value))
    if len(groups) <= COLORS:
        return groups
    return {"": [run for runs in groups.values() for run in runs]}


def _means(points: Sequence[Point]) -> list[Point]:
    """Return the mean of the finite values at each x, in order of x."""
    found: dict[float, list[float]] = {}
    for x, value in points:
        if math.isfinite(value):
            found.setdefault(x, []).append(value)
    return [(x, statistics.fmean(found[x])) for x in sorted(found)]


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(text)
        return value if math.isfinite(value) else None
    return None
