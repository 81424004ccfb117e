"""How a metric depends on one swept parameter.

A number becomes a line through the means with every run as a dot, so that the spread over seeds shows;
where other parameters are swept too, each of their settings is a line of its own, as long as colours
tell them apart. A name, and a seed, become a strip: one place on the axis for each value, with a bar at
the mean of its runs.
"""

import contextlib
import math
import statistics
from collections.abc import Sequence

from lmexp.analysis.axis import suits_log
from lmexp.analysis.compared import Compared, is_seed
from lmexp.analysis.markup import Html
from lmexp.analysis.svg import COLORS, Plot, Series, figure
from lmexp.analysis.thin import Point


def parameter_figure(key: str, compared: Compared) -> Html:
    """Return the plot of the headline metric over the parameter `key`."""
    places, categories = _places(key, compared)
    groups = _groups(key, compared, places)
    series: list[Series] = []
    for color, (label, points) in enumerate(groups.items(), start=1):
        means = _means(points)
        several = len(means) < len([value for _, value in points if math.isfinite(value)])
        if categories and not label and several:
            series.append(Series(label="mean", points=means, mark="level", color=2))
        elif len(means) > 1 and (label or not categories):
            series.append(Series(label=label or "mean", points=means, color=color))
        dots = Series(label=label or "each run", points=points, mark="dots", color=color, in_legend=not label)
        series.append(dots)
    drawn = [x for points in groups.values() for x, value in points if math.isfinite(value)]
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


def _places(key: str, compared: Compared) -> tuple[list[float], list[str]]:
    """Return where each point stands on the axis, and the axis' names where it has names."""
    texts = [setting.get(key, "") for setting in compared.settings]
    numbers = [value for value in map(_number, texts) if value is not None]
    if len(numbers) == len(texts) and not is_seed(key):
        return numbers, []
    categories = list(dict.fromkeys(texts))
    return [float(categories.index(text)) for text in texts], categories


def _groups(key: str, compared: Compared, places: Sequence[float]) -> dict[str, list[Point]]:
    """Return the points by the setting of the other parameters; together where colours would not do."""
    others = [other for other in compared.parameters if other != key]
    groups: dict[str, list[Point]] = {}
    for setting, x, value in zip(compared.settings, places, compared.values, strict=True):
        label = ", ".join(f"{other}={setting.get(other, '')}" for other in others)
        groups.setdefault(label, []).append((x, value))
    if len(groups) <= COLORS:
        return groups
    return {"": [point for points in groups.values() for point in points]}


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
