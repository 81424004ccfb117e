"""The curves of a run's stages: loss, learning rate, throughput, and whatever else a stage logs."""

from collections.abc import Mapping, Sequence

from lmexp.analysis.markup import Html, tag
from lmexp.analysis.svg import Plot, Series, figure
from lmexp.analysis.thin import Point, finite_parts, smoothed, thin

_SMOOTH_FROM = 150
"""A curve of this many points gets a smoothed line over its points."""
_FEW = 25
"""Points of a curve beside another are marked where there are no more than this."""

_KNOWN = {
    "loss": ("Loss", "nats per token"),
    "bits_per_byte": ("Bits per byte", "bits per byte"),
    "lr": ("Learning rate", "learning rate"),
    "tokens_per_second": ("Throughput", "tokens per second"),
    "grad_norm": ("Gradient", "norm of the gradient"),
}
"""Title and unit of the curves that stages of this library log, in the order in which they are shown."""


def curve_figures(curves: Mapping[str, Sequence[Point]]) -> Html:
    """Return one plot for each quantity: ``train/loss`` and ``validation/loss`` share one."""
    groups: dict[str, dict[str, Sequence[Point]]] = {}
    for key, points in curves.items():
        head, _, name = key.rpartition("/")
        groups.setdefault(name, {})[head] = points
    order = list(_KNOWN)
    names = sorted(groups, key=lambda name: order.index(name) if name in order else len(order))
    return tag("div", *(_figure(name, groups[name]) for name in names), class_="plots")


def _figure(name: str, group: Mapping[str, Sequence[Point]]) -> Html:
    title, unit = _KNOWN.get(name, (name, name))
    if len(group) == 1 and next(iter(group)):
        title = f"{title}: {next(iter(group))}"
    series: list[Series] = []
    for color, (head, points) in enumerate(group.items(), start=1):
        series += _series(head or name, points, color, smooth=name != "lr", alone=len(group) == 1)
    log_y = False if name == "lr" else None  # the shape of a schedule is read on a linear axis
    return figure(Plot(title=title, x_label="step", y_label=unit, series=series, log_y=log_y))


def _series(label: str, points: Sequence[Point], color: int, *, smooth: bool, alone: bool) -> list[Series]:
    parts = finite_parts(points)
    if smooth and len(parts) == 1 and len(parts[0]) >= _SMOOTH_FROM:
        width = max(5, len(parts[0]) // 60)
        raw = Series(label=f"{label}, each point", points=thin(parts[0]), mark="faint", color=color)
        means = smoothed(parts[0], width)
        return [raw, Series(label=f"{label}, mean of {width} points", points=means, color=color)]
    few = not alone and len(points) <= _FEW
    return [Series(label=label, points=points, mark="both" if few else "line", color=color)]
