"""Per-sample rows of an evaluation, one JSON object a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows in order."""
    for _ in written(path, rows):
        pass


def written(path: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Write each row and yield it; the file is whole once the last row was taken."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            yield row
