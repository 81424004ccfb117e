"""A leaderboard as text: rank, model, bits per byte, what it is behind by, and what it cost."""

from lmexp.analysis.leaderboard.rows import Leaderboard
from lmexp.analysis.leaderboard.section import COLUMNS, cells_of

_SHOWN = (0, 1, 2, 3, 4, 5, 6, 7, 11, 12)


def leaderboard_rows(board: Leaderboard) -> list[tuple[str, ...]]:
    """Return the heading and the rows of a table for a terminal, the page's columns but the rates."""
    head = (*COLUMNS[:1], board.text, *COLUMNS[2:])
    return [tuple(row[i] for i in _SHOWN) for row in (head, *cells_of(board))]
