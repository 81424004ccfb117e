"""The table of an audit: each check, what it found, and in one sentence why it does not pass."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmexp.analysis.drawing.markup import Html, join, table, tag
from lmexp.core.records.runs import Run
from lmexp.core.store.record import intact_file
from lmexp.core.values.files import read_lines
from lmexp.core.values.numbers import number

Rows = Sequence[Mapping[str, Any]]
"""Those of `audit.jsonl`."""

_WIDTH = 100
_HEAD = ("check", "verdict", "found", "at most")


def audits_of(run: Run) -> Iterator[tuple[str, Rows]]:
    """Yield the name and the rows of each audit of a run whose artifact is there.

    Errors: `VerificationError` for rows that are not as they were published.
    """
    for name, entry in run.stages.items():
        rows = intact_file(run.artifact(name), "audit.jsonl") if entry["stage"] == "audit" else None
        if rows is not None:
            yield name, list(read_lines(rows))


def audit_text(rows: Rows) -> str:
    """Return the audit as text: a table, and the sentences of the checks that do not pass."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    shown = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    said = [f"{row['check']}: {row['reason']}" for row in rows if row["verdict"] != "pass"]
    return "\n".join([*shown, *(part for text in said for part in ("", textwrap.fill(text, _WIDTH)))])


def audits_section(audits: Mapping[str, Rows]) -> Html:
    """Return the tables of all audits; empty where there are none."""
    parts = []
    for name, rows in audits.items():
        cells = [(*_cells(row), row["reason"]) for row in rows]
        caption = f"What {name} asked of the scorer that made the figures"
        parts.append(table((*_HEAD, "why"), cells, caption=caption, numeric=(2, 3), stacked=True))
        if any(row["verdict"] == "fail" for row in rows):
            said = "A check has failed: the figures of this run are not to be compared with others."
            parts.append(tag("p", said))
    return join(parts)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    about = row.get("about", row["check"])
    return (about, row["verdict"], _number(row["figure"]), _number(row["tolerance"]))


def _number(value: Any) -> str:
    if isinstance(value, int | float):
        return number(value)
    return "" if value is None else str(value)
