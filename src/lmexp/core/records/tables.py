"""The tables of a run for dashboards: its stages, its metrics, and the rows that its stages wrote.

Every file of rows (`*.jsonl`) at the top of an artifact becomes one table of its first rows: the samples of a
`samples` stage, the items of each task with their scores, the documents of a perplexity. A pure
function of the record; the curve `metrics.jsonl` is not a table.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.store.record import intact_file, listed_files
from lmexp.core.values.files import read_lines
from lmexp.core.values.fingerprint import SHORT

MAX_ROWS = 100
"""Rows of each file that are shown; the artifact has them all."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A name with slashes, the names of the columns, and rows of numbers, texts and nulls."""

    name: str
    columns: list[str]
    rows: list[list[Any]]


def tables_of(run: Mapping[str, Any], store: Path) -> Iterator[Table]:
    """Yield the tables of what `run.json` says, whose artifacts are in the store's root `store`."""
    columns = ["stage", "action", "seconds", "world_size", "fingerprint"]
    rows = [
        [name, *(entry[key] for key in columns[1:-1]), entry["fingerprint"][:SHORT]]
        for name, entry in run["stages"].items()
    ]
    yield Table("stages", columns, rows)
    yield Table(
        "metrics", ["metric", "value"], [[key, float(value)] for key, value in run["metrics"].items()]
    )
    for name, entry in run["stages"].items():
        path = store / entry["artifact"]
        for listed in listed_files(path, "*.jsonl"):
            stem = listed.name.removesuffix(".jsonl")
            if stem != "metrics" and (file := intact_file(path, listed.name)) is not None:
                table = _rows_of(name if stem == name else f"{name}/{stem}", file)
                if table.rows:
                    yield table


def _rows_of(name: str, file: Path) -> Table:
    """Return the first rows of a file; columns in the order in which the rows name them."""
    entries = list(itertools.islice(read_lines(file), MAX_ROWS))
    columns = list(dict.fromkeys(key for entry in entries for key in entry))
    return Table(name, columns, [[_cell(entry.get(key)) for key in columns] for entry in entries])


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
