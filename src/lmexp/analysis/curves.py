"""The curves of a run's stages: loss, learning rate, throughput, and whatever else a stage logs."""

from collections.abc import Mapping

from lmexp.analysis.drawing.markup import Html, tag
from lmexp.analysis.drawing.svg import Plot, Series, figure
from lmexp.analysis.statistics.curve import Curve

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


def curve_figures(curves: Mapping[str, Curve]) -> Html:
    """Return one plot for each quantity: ``train/loss`` and ``validation/loss`` share one."""
    groups: dict[str, dict[str, Curve]] = {}
    for key, curve in curves.items():
        head, _, name = key.rpartition("/")
        groups.setdefault(name, {})[head] = curve
    order = list(_KNOWN)
    names = sorted(groups, key=lambda name: order.index(name) if name in order else len(order))
    return tag("div", *(_figure(name, groups[name]) for name in names), class_="plots")


def _figure(name: str, group: Mapping[str, Curve]) -> Html:
    title, unit = _KNOWN.get(name, (name, name))
    if len(group) == 1 and next(iter(group)):
        title = f"{title}: {next(iter(group))}"
    series: list[Series] = []
    for color, (head, curve) in enumerate(group.items(), start=1):
        series += _series(head or name, curve, color, smooth=name != "lr", alone=len(group) == 1)
    log_y = False if name == "lr" else None  # the shape of a schedule is read on a linear axis
    return figure(Plot(title=title, x_label="step", y_label=unit, series=series, log_y=log_y))


def _series(label: str, curve: Curve, color: int, *, smooth: bool, alone: bool) -> list[Series]:
    if smooth and curve.means:
        raw = Series(label=f"{label}, each point", points=curve.points, mark="faint", color=color)
        name = f"{label}, mean of {curve.width} points"
        return [raw, Series(label=name, points=curve.means, color=color, derived=True)]
    few = not alone and len(curve.points) <= _FEW
    return [Series(label=label, points=curve.points, mark="both" if few else "line", color=color)]
