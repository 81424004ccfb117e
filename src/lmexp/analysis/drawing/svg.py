"""Plots as inline SVG: axes with units, a legend, titles on hover, and the same numbers as a table.

A `Plot` is data: series, reference lines, axes. `figure` draws it into one ``<figure>``. Colours and text
sizes come from the page's style sheet (classes ``c1`` to ``c6``), so that one drawing serves light, dark
and paper; series differ by mark and dash as well as by colour. Nothing is loaded and nothing runs.

Coordinates are user units of a view box 480 wide, which a page shows at 330 to 560 pixels.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal

from lmexp.analysis.drawing.axis import Axis, category_axis, make_axis, suits_log
from lmexp.analysis.drawing.formats import NO_RESULT, ranged
from lmexp.analysis.drawing.markup import Html, details, escape, table, tag
from lmexp.analysis.statistics.intervals import Interval
from lmexp.analysis.statistics.thin import Point, finite_parts, thin
from lmexp.core.values.numbers import number

WIDTH, HEIGHT = 480, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 48
_HOVERS = 60
_TABLE_ROWS = 40
COLORS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """Points (x, y) of one kind."""

    label: str
    points: Sequence[Point]
    intervals: Sequence[Interval | None] = ()
    """The interval of each point's y; None draws no bar."""
    missing: Sequence[float] = ()
    """x of what has no result: not drawn, but counted and in the table."""
    derived: bool = False
    """Whether these are means of another series' points, which are not counted again."""
    mark: Literal["line", "faint", "dots", "both", "hollow", "level"] = "line"
    """`line` for curves, `faint` for what another series smooths, `dots` for points of their own,
    `both` for few points in order, `hollow` the same in a second condition, `level` for a short bar."""
    color: int = 1
    in_legend: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """What one figure shows."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    references: Sequence[tuple[str, float]] = ()
    """Horizontal lines, by what they stand for."""
    categories: Sequence[str] = ()
    """Names of x = 0, 1, 2 and so on; empty for an x that is a number."""
    log_x: bool = False
    log_y: bool | None = None
    """None lets the values decide."""
    whole_x: bool = False
    """Whether each x that occurs is a tick of its own (numbers of shots, for example)."""
    note: str = ""


def figure(plot: Plot) -> Html:
    """Return the plot with its legend and its table; where there is nothing to draw, a sentence."""
    drawn = [p for s in plot.series for part in finite_parts(s.points) for p in part]
    lost = sum(len(s.points) for s in plot.series) - len(drawn)
    missing = sum(len(s.missing) for s in plot.series)
    notes = [plot.note] if plot.note else []
    if lost:
        notes.append(f"{lost:,} {'point is' if lost == 1 else 'points are'} not finite and not drawn.")
    if missing:
        notes.append(f"{missing:,} {'point has' if missing == 1 else 'points have'} {NO_RESULT}.")
    if not drawn:
        body: list[object] = [tag("p", "There is no point to draw yet.", class_="quiet")]
    else:
        marks = [(s.label, s.mark, s.color) for s in plot.series if s.in_legend]
        unit = tag("p", plot.y_label, class_="unit") if plot.y_label.lower() != plot.title.lower() else ""
        body = [legend(marks, plot.references), unit, _draw(plot, drawn), _table(plot)]
    caption = tag("figcaption", tag("h3", plot.title), *(tag("p", n, class_="quiet") for n in notes))
    return tag("figure", caption, *body, class_="plot")


def _draw(plot: Plot, drawn: Sequence[Point]) -> Html:
    x_axis, y_axis = _axes(plot, drawn)

    def place(point: Point) -> Point:
        x = _LEFT + x_axis.position(point[0]) * (WIDTH - _LEFT - _RIGHT)
        return x, HEIGHT - _BOTTOM - y_axis.position(point[1]) * (HEIGHT - _TOP - _BOTTOM)

    parts = [*_grid(plot, x_axis, y_axis, place)]
    for i, (label, value) in enumerate(plot.references):
        if math.isfinite(value):
            y = place((x_axis.low, value))[1]
            parts.append(
                f'<path class="reference r{i}" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"><title>{escape(label)}: '
                f"{number(value)}</title></path>"
            )
    for series in plot.series:
        parts += _series(plot, series, place)
    return Html(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">'
        f"<desc>{escape(_description(plot))}</desc>{''.join(parts)}</svg>"
    )


def _description(plot: Plot) -> str:
    """Return the plot in a sentence, for those who do not see it."""
    counted = [s for s in plot.series if not s.derived]
    ys = [y for s in counted for part in finite_parts(s.points) for _, y in part]
    points = f"{len(ys):,} {'point' if len(ys) == 1 else 'points'}"
    return (
        f"{plot.y_label} over {plot.x_label}, {points} between {number(min(ys))} and {number(max(ys))}; "
        "the table below the plot has the numbers."
    )


def _axes(plot: Plot, drawn: Sequence[Point]) -> tuple[Axis, Axis]:
    xs, ys = [x for x, _ in drawn], [y for _, y in drawn]
    for series in plot.series:
        for (_, y), interval in zip(series.points, series.intervals, strict=False):
            if interval is not None and math.isfinite(y):
                ys += interval
    ys += [value for _, value in plot.references if math.isfinite(value)]
    if plot.categories:
        x_axis = category_axis(plot.categories)
    else:
        pad = (
            0.0 if all(s.mark in ("line", "faint") or len(s.points) > _HOVERS for s in plot.series) else 0.06
        )
        low = 0.0 if 0 < min(xs) <= 0.1 * max(xs) and not pad and not plot.log_x else None
        x_axis = make_axis(xs, log=plot.log_x and min(xs) > 0, count=6, pad=pad, low=low)
        if plot.whole_x and len(set(xs)) <= 9:
            x_axis = dataclasses.replace(x_axis, ticks=tuple((x, number(x)) for x in sorted(set(xs))))
    log_y = suits_log(ys) if plot.log_y is None else plot.log_y and min(ys) > 0
    return x_axis, make_axis(ys, log=log_y, count=5, pad=0.06)


def _grid(plot: Plot, x_axis: Axis, y_axis: Axis, place: Callable[[Point], Point]) -> list[str]:
    base = HEIGHT - _BOTTOM
    parts = []
    for value, label in y_axis.ticks:
        y = place((x_axis.low, value))[1]
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 7}" y="{y + 4.5:.1f}" text-anchor="end">{escape(label)}</text>'
        )
    room = (WIDTH - _LEFT - _RIGHT) / max(1, len(x_axis.ticks))
    for i, (value, label) in enumerate(x_axis.ticks):
        x = place((value, y_axis.low))[0]
        parts.append(f'<path class="axis" d="M{x:.1f} {base}v4"/>')
        if len(label) * 8 > room and i % math.ceil(len(label) * 8 / room) and len(label) * 8 < 2 * WIDTH:
            continue
        short = label if len(label) <= 22 else f"{label[:20]}…"
        anchor = "end" if x > WIDTH - _RIGHT - len(short) * 3 else "middle"
        x = min(x, WIDTH - 1) if anchor == "middle" else WIDTH - 2
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{base + 18}" text-anchor="{anchor}">{escape(short)}'
            f"<title>{escape(label)}</title></text>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{base}H{WIDTH - _RIGHT}"/>')
    x_label = plot.x_label + (" (logarithmic)" if x_axis.log else "")
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return parts


def _series(plot: Plot, series: Series, place: Callable[[Point], Point]) -> list[str]:
    parts, color = [], f"c{(series.color - 1) % COLORS + 1}"
    lines = series.mark not in ("dots", "level")
    singles = []
    for part in finite_parts(series.points) if lines else []:
        shown = [place(p) for p in thin(part)]
        if len(shown) == 1:
            singles.append(part[0])
        else:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in shown)
            parts.append(f'<path class="line {color} {series.mark}" d="M{path}"/>')
    if series.mark == "faint":
        return parts
    finite = [
        (point, interval)
        for point, interval in zip(series.points, _padded(series), strict=True)
        if math.isfinite(point[0]) and math.isfinite(point[1])
    ]
    for point, interval in finite:
        if interval is not None and interval[0] < interval[1]:
            x, low = place((point[0], interval[0]))
            high = place((point[0], interval[1]))[1]
            parts.append(
                f'<path class="error {color}" d="M{x:.1f} {low:.1f}V{high:.1f}'
                f'M{x - 4:.1f} {low:.1f}h8M{x - 4:.1f} {high:.1f}h8"/>'
            )
    if series.mark == "level":
        for point, _ in finite:
            x, y = place(point)
            title = f"<title>{escape(series.label)}: {number(point[1])}</title>"
            parts.append(f'<path class="level {color}" d="M{x - 22:.1f} {y:.1f}h44">{title}</path>')
        return parts
    visible = series.mark in ("both", "dots", "hollow")
    every = 1 if visible else max(1, math.ceil(len(finite) / _HOVERS))
    hovered = [pair for pair in finite[::every] if pair[0] not in singles]
    for point, interval in finite if visible else [*hovered, *((p, None) for p in singles)]:
        x, y = place(point)
        kind = "hollow" if series.mark == "hollow" else ("dot" if visible or point in singles else "hover")
        at = plot.categories[int(point[0])] if plot.categories else number(point[0])
        about = f"{series.label}: {ranged(point[1], interval)} at {plot.x_label} {at}"
        radius = 7 if kind == "hover" else 4
        parts.append(
            f'<circle class="{kind} {color}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
            f"<title>{escape(about)}</title></circle>"
        )
    return parts


def _padded(series: Series) -> list[Interval | None]:
    return [*series.intervals, *([None] * (len(series.points) - len(series.intervals)))]


def swatch(mark: str, color: int) -> Html:
    """Return the small drawing that stands for a series in a legend."""
    name = f"c{(color - 1) % COLORS + 1}"
    kind = "level" if mark == "level" else f"line {mark}"
    line = "" if mark == "dots" else f'<path class="{kind} {name}" d="M1 6H27"/>'
    dot = f'<circle class="{"hollow" if mark == "hollow" else "dot"} {name}" cx="14" cy="6" r="4"/>'
    inner = line + (dot if mark in ("both", "dots", "hollow") else "")
    return Html(f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true">{inner}</svg>')


def legend(marks: Sequence[tuple[str, str, int]], references: Sequence[tuple[str, float]] = ()) -> Html:
    """Return what each (label, mark, color) and each reference line stands for; nothing for one alone."""
    entries = [tag("li", swatch(mark, color), label) for label, mark, color in marks]
    for i, (label, value) in enumerate(references):
        line = f'<path class="reference r{i}" d="M1 6H27"/>'
        drawing = Html(f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true">{line}</svg>')
        entries.append(tag("li", drawing, f"{label}: {number(value)}"))
    return tag("ul", *entries, class_="legend") if len(entries) > 1 else Html("")


def _table(plot: Plot) -> Html:
    """Return the drawn numbers; of a long line every so many points, and says so."""
    columns = [s for s in plot.series if s.mark != "faint"]
    longest = max((len(s.points) for s in columns if s.mark == "line"), default=0)
    every = max(1, math.ceil(longest / _TABLE_ROWS))

    def place(x: float) -> str:
        return plot.categories[int(x)] if plot.categories else number(x)

    rows = []
    for series in columns:
        shown = _every(series, every if series.mark == "line" else 1)
        rows += [(series.label, place(x), ranged(y, interval)) for (x, y), interval in shown]
        rows += [(series.label, place(x), NO_RESULT) for x in series.missing]
    title = "Numbers" if every == 1 else f"Numbers, one point in {every}"
    headers = ("series", plot.x_label, plot.y_label)
    return details(title, table(headers, rows, caption=plot.title, numeric=(1, 2)))


def _every(series: Series, every: int) -> list[tuple[Point, Interval | None]]:
    """Return every so manieth point with its interval, and the last."""
    values = list(zip(series.points, _padded(series), strict=True))
    return values[::every] if not values or (len(values) - 1) % every == 0 else [*values[::every], values[-1]]
