"""A leaderboard on a page: who is best, the table, bits per byte over cost and over size."""

import math
from collections.abc import Callable, Sequence

from lmexp.analysis import standing_section
from lmexp.analysis.drawing.formats import duration, measured, ranged, size
from lmexp.analysis.drawing.markup import Html, join, table, tag
from lmexp.analysis.drawing.svg import Plot, Series, figure
from lmexp.analysis.leaderboard.rows import Leaderboard, Row, leaderboards
from lmexp.analysis.records import RunRecords
from lmexp.analysis.statistics.standing import standing_of
from lmexp.core.values.numbers import number

COLUMNS = (
    "rank", "model", "bits per byte", "behind the one above", "parameters", "stored", "two-part", "CPU time",
    "training FLOPs", "trained", "scored", "audit", "",
)  # fmt: skip
"""Headings; the rates are tokens in a CPU second."""
_NUMERIC = range(2, 11)


def leaderboard_section(records: RunRecords) -> Html:
    """Return the leaderboards of a run; empty where no two models were measured on one text."""
    return join(_board(board) for board in leaderboards(records))


def _board(board: Leaderboard) -> Html:
    caption = (
        f"{board.text}, {board.num_documents:,} documents. ± is the standard error over documents; "
        "differences are paired over them, with 95 % intervals. Two-part are the bits per byte of the "
        "training text where the model is told first, in its shortest form. Rates are tokens in a CPU second."
    )
    marked = [i for i, row in enumerate(board.rows) if board.ranked and row is board.ranked[0]]
    cells = [(rank, *described) for rank, *described in cells_of(board)]
    return join(
        [
            tag("p", tag("strong", in_a_sentence(board))),
            table(COLUMNS, cells, caption=caption, numeric=_NUMERIC, marked=marked, stacked=True),
            tag(
                "div",
                _plot(board, "CPU seconds of training", lambda row: row.cpu_seconds),
                _plot(board, "bytes of the model as stored", lambda row: row.stored_bytes),
                class_="plots",
            ),
        ]
    )


def in_a_sentence(board: Leaderboard) -> str:
    """Return which model is best, or which ones cannot be told from the one that leads."""
    return standing_section.in_a_sentence(board.compared, standing_of(board.compared))


def cells_of(board: Leaderboard) -> list[tuple[str, ...]]:
    """Return the cells of each row, one for each of `COLUMNS`."""
    ranks = {id(row): f"{i}" for i, row in enumerate(board.ranked, start=1)}
    return [(ranks.get(id(row), ""), *_cells(row)) for row in board.rows]


def _cells(row: Row) -> tuple[str, ...]:
    bits = "" if row.bits is None else f"{'<= ' * row.is_bound}{measured(row.bits, row.error)}"
    behind, said = "", row.unranked
    if row.behind is not None:
        behind = f"+{ranged(row.behind, row.behind_interval)}"
        said = "" if row.is_told_apart else "not distinguishable from the one above"
    return (
        f"{row.name} ({row.what})" if row.what else row.name,
        bits,
        behind,
        "" if row.parameters is None else number(row.parameters),
        "" if row.stored_bytes is None else size(row.stored_bytes),
        "" if row.two_part is None else f"{row.two_part:.3f}",
        "" if row.cpu_seconds is None else duration(row.cpu_seconds),
        "" if row.train_flops is None else f"{row.train_flops:.1e}",
        "" if row.trained_per_second is None else f"{row.trained_per_second:,.0f}",
        "" if row.scored_per_second is None else f"{row.scored_per_second:,.0f}",
        row.audit,
        said,
    )


def _plot(board: Leaderboard, what: str, cost: Callable[[Row], float | None]) -> Html:
    """Return bits per byte over a cost, with the front of those that nothing cheaper betters."""
    known = [(row, value) for row in board.rows if row.bits is not None and (value := cost(row))]
    points = [(value, row.bits) for row, value in known if row.bits is not None]
    kinds = [
        Series(label=row.name, points=[point], mark="hollow" if row.unranked else "dots", color=1 + i)
        for i, ((row, _), point) in enumerate(zip(known, points, strict=True))
    ]
    ranked = [(value, row.bits) for row, value in known if not row.unranked and row.bits is not None]
    return figure(
        Plot(
            title=f"Bits per byte over {what}",
            x_label=what,
            y_label="bits per byte, fewer is better",
            series=[*kinds, Series(label="front", points=front(ranked), mark="faint", color=1, derived=True)],
            log_x=len(points) > 1 and max(x for x, _ in points) > 10 * min(x for x, _ in points),
            log_y=False,
            note="The line joins the models that none with a rank betters at the same cost or a lower one.",
        )
    )


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return, of points (cost, bits), those with fewer bits than all that cost no more, by cost."""
    best, found = math.inf, []
    for point in sorted(points):
        if point[1] < best:
            best = point[1]
            found.append(point)
    return found
