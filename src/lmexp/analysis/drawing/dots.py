"""A plot of named values on one horizontal axis: a row each, with error bars and reference lines.

For what is compared by name: a model beside compressors, one task beside another. A row's name and its
first value stand above its track, where a narrow screen has room for them.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

from lmexp.analysis.drawing.axis import make_axis
from lmexp.analysis.drawing.formats import measured, ranged
from lmexp.analysis.drawing.markup import Html, details, escape, table, tag
from lmexp.analysis.drawing.svg import legend
from lmexp.analysis.statistics.intervals import Interval, normal_interval
from lmexp.core.values.numbers import number

_WIDTH, _ROW, _SIDE, _FOOT = 480, 44, 16, 46
_NAME_CHARACTERS = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dot:
    """One value in a row."""

    series: str
    value: float
    error: float | None = None
    """Standard error: stands behind the value, and makes the bar where there is no interval."""
    interval: Interval | None = None
    """The ends of the bar; stands behind the value where there is no error."""

    @property
    def text(self) -> str:
        """The value with its error or its interval."""
        return ranged(self.value, self.interval) if self.error is None else measured(self.value, self.error)

    @property
    def bar(self) -> Interval | None:
        """The ends of the bar, if there is one."""
        return self.interval if self.interval is not None else normal_interval(self.value, self.error)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DotPlot:
    """Rows of values; values of one series look alike in every row."""

    title: str
    x_label: str
    rows: Sequence[tuple[str, Sequence[Dot]]]
    references: Sequence[tuple[str, float]] = ()
    """Vertical lines, by what they stand for."""
    note: str = ""


def dot_figure(plot: DotPlot) -> Html:
    """Return the plot with its legend and its table."""
    names = list(dict.fromkeys(dot.series for _, dots in plot.rows for dot in dots))
    note = tag("p", plot.note, class_="quiet") if plot.note else ""
    caption = tag("figcaption", tag("h3", plot.title), note)
    cells = [(row, d.series, d.text) for row, dots in plot.rows for d in dots]
    numbers = details(
        "Numbers", table(["row", "what", plot.x_label], cells, caption=plot.title, numeric=(2,))
    )
    if not any(math.isfinite(d.value) for _, dots in plot.rows for d in dots):
        nothing = tag("p", "There is no finite value to draw.", class_="quiet")
        return tag("figure", caption, nothing, numbers, class_="plot")
    marks = [(name, "dots" if i == 0 else "hollow", i + 1) for i, name in enumerate(names)]
    return tag("figure", caption, legend(marks, plot.references), _draw(plot, names), numbers, class_="plot")


def _draw(plot: DotPlot, names: Sequence[str]) -> Html:
    dots = [d for _, row in plot.rows for d in row if math.isfinite(d.value)]
    values = [end for d in dots for end in (d.value, *(d.bar or ()))]
    values += [value for _, value in plot.references if math.isfinite(value)]
    axis = make_axis(values, count=5, pad=0.06)
    base = _ROW * len(plot.rows) + 4

    def x_of(value: float) -> float:
        return _SIDE + axis.position(value) * (_WIDTH - 2 * _SIDE)

    parts = []
    for value, label in axis.ticks:
        parts.append(f'<path class="grid" d="M{x_of(value):.1f} 0V{base}"/>')
        parts.append(
            f'<text class="tick" x="{x_of(value):.1f}" y="{base + 17}" text-anchor="middle">{label}</text>'
        )
    for i, (label, value) in enumerate(plot.references):
        if math.isfinite(value):
            about = f"<title>{escape(label)}: {number(value)}</title>"
            parts.append(f'<path class="reference r{i}" d="M{x_of(value):.1f} 0V{base}">{about}</path>')
    for i, (row, found) in enumerate(plot.rows):
        top = _ROW * i
        parts += _heading(row, found, top)
        y = top + 31
        parts.append(f'<path class="grid" d="M{_SIDE} {y}H{_WIDTH - _SIDE}"/>')
        for dot in reversed(found):  # the first series is drawn last, above the others
            if math.isfinite(dot.value):
                parts.append(_dot(row, dot, y, x_of, names.index(dot.series)))
    under = f'x="{_WIDTH / 2}" y="{base + 38}" text-anchor="middle"'
    parts.append(f'<text class="label" {under}>{escape(plot.x_label)}</text>')
    what = f"{plot.x_label} of {len(plot.rows)} rows; the table below the plot has the numbers."
    return Html(
        f'<svg viewBox="0 0 {_WIDTH} {base + _FOOT}" role="img" aria-label="{escape(plot.title)}">'
        f"<desc>{escape(what)}</desc>{''.join(parts)}</svg>"
    )


def _heading(row: str, dots: Sequence[Dot], top: float) -> list[str]:
    short = row if len(row) <= _NAME_CHARACTERS else f"{row[: _NAME_CHARACTERS - 1]}…"
    parts = [
        f'<text class="name" x="{_SIDE}" y="{top + 18}">{escape(short)}<title>{escape(row)}</title></text>'
    ]
    if dots:
        value = escape(dots[0].text)
        at = f'x="{_WIDTH - _SIDE}" y="{top + 18}" text-anchor="end"'
        parts.append(f'<text class="value" {at}>{value}</text>')
    return parts


def _dot(row: str, dot: Dot, y: float, x_of: Callable[[float], float], series: int) -> str:
    color, x, bar = f"c{series % 6 + 1}", x_of(dot.value), ""
    if dot.bar is not None and dot.bar[0] < dot.bar[1]:
        low, high = map(x_of, dot.bar)
        ends = f"M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"
        bar = f'<path class="error {color}" d="M{low:.1f} {y}H{high:.1f}{ends}"/>'
    about = escape(f"{row}, {dot.series}: {dot.text}")
    kind = "dot" if series == 0 else "hollow"
    return f'{bar}<circle class="{kind} {color}" cx="{x:.1f}" cy="{y}" r="5"><title>{about}</title></circle>'
