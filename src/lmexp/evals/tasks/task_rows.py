"""Data files of tasks: from a file to its rows, each with where it stands.

    .jsonl .ndjson    one JSON object a line
    .json             a list of objects, alone or as the only list of an object
    .csv .tsv         a header line and a row a line; every value is text
    .parquet          a row a record

All but Parquet may be compressed: ``a.jsonl.gz``. A line that is no row is yielded as the error that says so,
so that a task may drop and count it; a file that cannot be read at all raises.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lmexp.core.values.files import parse_json
from lmexp.corpus.formats.streams import COMPRESSIONS, decompressed, split_suffix
from lmexp.errors import DataError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[tuple[str, int, Row | DataError]]:
    """Yield (place, number, row) of a data file, in order; empty lines are passed over.

    Numbers are those of lines, or of rows from 1 where a file has no lines. In place of a row stands the
    error for a line that is none.
    Errors: `DataError` for a suffix that is not known and a file that cannot be read.
    """
    suffix, compression = _suffixes(path)
    if suffix == ".parquet":
        yield from _parquet(path)
        return
    with path.open("rb") as stream:
        file = decompressed(stream, compression, place=str(path))
        if suffix == ".json":
            yield from _json(path, file.read())
        elif suffix in (".csv", ".tsv"):
            yield from _table(path, file.read(), "\t" if suffix == ".tsv" else ",")
        else:
            yield from _json_lines(path, file)


def read_lines_of(path: Path) -> list[str]:
    """Return the lines of a text file, each without the white space around it; empty ones are left out."""
    lines = _decoded(path.read_bytes(), str(path)).split("\n")
    return [line.strip() for line in lines if line.strip()]


def _suffixes(path: Path) -> tuple[str, str]:
    suffix, compression = split_suffix(path.name)
    if suffix not in SUFFIXES or (compression and suffix == ".parquet"):
        raise DataError(
            f"{path} ends in {compression or suffix or 'no suffix'!r}; data end in {', '.join(SUFFIXES)}, "
            f"and all but .parquet also with {', '.join(COMPRESSIONS)} after it."
        )
    return suffix, compression


def _json_lines(path: Path, file: BinaryIO) -> Iterator[tuple[str, int, Row | DataError]]:
    for number, data in enumerate(file, start=1):
        place = f"{path}, line {number}"
        try:
            line = _decoded(data, place).strip().removeprefix("\ufeff")
            if line:
                yield place, number, _object(_parsed(line, place), place)
        except DataError as error:
            yield place, number, error


def _json(path: Path, data: bytes) -> Iterator[tuple[str, int, Row | DataError]]:
    found = _parsed(_decoded(data, str(path)).removeprefix("\ufeff"), str(path))
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        found = lists[0] if len(lists) == 1 else found
    if not isinstance(found, list):
        raise DataError(
            f"{path} must be a list of objects, alone or as the only list of an object; write rows as JSON "
            f"Lines otherwise."
        )
    for number, row in enumerate(found, start=1):
        place = f"{path}, row {number}"
        try:
            yield place, number, _object(row, place)
        except DataError as error:
            yield place, number, error


def _table(path: Path, data: bytes, delimiter: str) -> Iterator[tuple[str, int, Row | DataError]]:
    csv.field_size_limit(2**31 - 1)
    text = _decoded(data, str(path)).removeprefix("\ufeff")
    # public tsv files quote nothing: a quotation mark is a character, unless the header stands in them
    bare = delimiter == "\t" and not text.startswith('"')
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] = []
    while True:
        number = rows.line_num + 1
        place = f"{path}, line {number}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(f"{place} is not a table: {error}.") from None
        if row is None:
            return
        if not row:
            continue
        if not header:
            header = row
        elif len(row) != len(header):
            yield (
                place,
                number,
                DataError(f"{place} has {len(row)} fields, but the header names {len(header)}."),
            )
        else:
            yield place, number, dict(zip(header, row, strict=True))


def _parquet(path: Path) -> Iterator[tuple[str, int, Row | DataError]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, use_threads=False)
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, OverflowError, MemoryError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"{path} cannot be read as Parquet: {reason}.") from None
    for number, row in enumerate(rows, start=1):
        yield f"{path}, row {number}", number, row


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not UTF-8 at byte {error.start}.") from None


def _parsed(text: str, place: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{place} is not JSON: {reason}.") from None


def _object(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        shown = json.dumps(row, ensure_ascii=False)[:40]
        raise DataError(f"{place} must be a JSON object, was {shown!r}.")
    return row
