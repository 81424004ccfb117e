"""File formats: from an open file to the texts in it, one at a time.

    .txt .md    the whole file, or pieces of it where it is long (`documents.cut_blocks`)
    .jsonl      one object a line, the text under a key
    .csv        RFC 4180 with a header line; quoted fields may hold line ends
    .parquet    one column, batch by batch

Everything but Parquet may be compressed (`streams`), which a second suffix says: ``a.jsonl.zst``. No file
is read whole, except a text that is to stay whole. Messages name the file and the byte, line or row.
"""

import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from lmexp.core.files import parse_json
from lmexp.corpus.documents import cut_blocks
from lmexp.corpus.streams import BLOCK_BYTES, COMPRESSIONS
from lmexp.errors import DataError, nearest

FORMATS = ("txt", "md", "jsonl", "csv", "parquet")
"""The formats, each also a suffix."""

Texts = Iterator[tuple[str, str]]
"""Pairs of what follows the file's name in a document's id, and the text."""

_BOM = "\ufeff"
_LONGEST_FIELD = 2**31 - 1
_PARQUET_ROWS = 256


def split_name(name: str, place: str, declared: str | None = None) -> tuple[str, str]:
    """Return the format and the compression ('' for none) that a file's name stands for.

    `declared` is the format where the user states it and suffixes need not.
    Errors: `DataError` for a suffix that is not known, naming `place`.
    """
    path = PurePosixPath(name.lower())
    compression = path.suffix if path.suffix in COMPRESSIONS else ""
    suffix = path.with_suffix("").suffix if compression else path.suffix
    chosen = declared or suffix.removeprefix(".")
    if chosen not in FORMATS:
        known = ", ".join(f".{known}" for known in FORMATS)
        raise DataError(
            f"{place} ends in {suffix or 'no suffix'!r}; known are {known}, and all but .parquet also before "
            f"{', '.join(COMPRESSIONS)}. `format` of a source states it for other names."
        )
    if chosen == "parquet" and compression:
        raise DataError(
            f"{place} is Parquet inside {compression}; unpack it, since Parquet compresses itself."
        )
    return chosen, compression


def read_texts(
    stream: BinaryIO, chosen: str, *, place: str, column: str, max_document_bytes: int | None
) -> Texts:
    """Yield the texts of an open file of one of `FORMATS`; Parquet must be seekable.

    `column` is the key or column that holds the text, `max_document_bytes` the longest document
    that a .txt or .md file gives (None for no limit).
    Errors: `DataError` naming `place` and the byte, line or row that cannot be used.
    """
    if chosen == "jsonl":
        return _json_lines(stream, place, column)
    if chosen == "csv":
        return _csv_rows(stream, place, column)
    if chosen == "parquet":
        return _parquet_rows(stream, place, column)
    return _text_pieces(stream, place, max_document_bytes)


def _text_pieces(stream: BinaryIO, place: str, max_bytes: int | None) -> Texts:
    head = stream.read() if max_bytes is None else stream.read(max_bytes + 1)
    if max_bytes is None or len(head) <= max_bytes:
        yield "", _decoded(head, place, 0).removeprefix(_BOM)
        return
    mark = _BOM.encode()
    offset = len(mark) if head.startswith(mark) else 0
    blocks = iter(lambda: stream.read(max(BLOCK_BYTES, max_bytes)), b"")
    for i, piece in enumerate(cut_blocks(itertools.chain([head[offset:]], blocks), max_bytes)):
        yield f":{i}", _decoded(piece, place, offset)
        offset += len(piece)


def _json_lines(stream: BinaryIO, place: str, column: str) -> Texts:
    for number, line in _lines(stream, place):
        text = line.strip().removeprefix(_BOM)
        if text:
            yield f":{number}", _text_of_line(text, column, f"{place}, line {number}")


def _text_of_line(line: str, column: str, place: str) -> str:
    try:
        row = parse_json(line)
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{place} is not JSON: {reason}.") from None
    if not isinstance(row, dict):
        raise DataError(f"{place} must be a JSON object with the key {column!r}, was {_kind(row)}.")
    if column not in row:
        raise no_column(place, "key", column, list(row))
    return checked_text(row[column], column, place)


def _csv_rows(stream: BinaryIO, place: str, column: str) -> Texts:
    csv.field_size_limit(_LONGEST_FIELD)
    lines = (line.removeprefix(_BOM) if number == 1 else line for number, line in _lines(stream, place))
    rows = csv.reader(lines, strict=True)
    header: list[str] = []
    index = 0
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(f"{place}, line {number} is not CSV: {error}.") from None
        if row is None:
            break
        if not row:  # a blank line
            continue
        if not header:
            header = [row[0].removeprefix(_BOM), *row[1:]]
            if column not in header:
                raise no_column(place, "column", column, header)
            index = header.index(column)
            continue
        if len(row) != len(header):
            raise DataError(
                f"{place}, line {number} has {len(row)} fields, but the header names {len(header)}; "
                f"a field with a comma, a quote or a line end in it must be quoted."
            )
        yield f":{number}", row[index]


def _parquet_rows(stream: BinaryIO, place: str, column: str) -> Texts:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream, buffer_size=BLOCK_BYTES, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _not_parquet(place, error) from None
    with file:
        names = file.schema_arrow.names
        if column not in names:
            raise no_column(place, "column", column, names)
        kind = file.schema_arrow.field(column).type
        values = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(values) or pa.types.is_large_string(values)):
            raise DataError(f"{place}: the column {column!r} must be text, was {kind}.")
        row = 0
        batches = file.iter_batches(batch_size=_PARQUET_ROWS, columns=[column], use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowInvalid, OSError) as error:
                raise _not_parquet(place, error) from None
            if batch is None:
                break
            for value in _strings(batch.column(0), place, row):
                yield f":{row}", checked_text(value, column, f"{place}, row {row}")
                row += 1


def _strings(array: Any, place: str, first: int) -> list[Any]:
    """Return the values of a column of text, which Parquet does not promise to be UTF-8."""
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        for i in range(len(array)):
            try:
                array[i].as_py()
            except UnicodeDecodeError as error:
                raise DataError(f"{place}, row {first + i} is not UTF-8 at its byte {error.start}.") from None
        raise


def checked_text(value: object, column: str, place: str) -> str:
    """Return `value`, the field `column` at `place`, if it is text. Errors: `DataError` otherwise."""
    if not isinstance(value, str):
        raise DataError(f"{place}: {column!r} must be text, was {_kind(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: {column!r} holds half of a surrogate pair at character {error.start}, "
            f"which is not text; write the whole pair or remove it."
        ) from None
    return value


def _lines(stream: BinaryIO, place: str) -> Iterator[tuple[int, str]]:
    offset = 0
    for number, data in enumerate(stream, start=1):
        yield number, _decoded(data, place, offset)
        offset += len(data)


def _decoded(data: bytes, place: str, offset: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place} is not UTF-8 at byte {offset + error.start}; convert it, for example with iconv."
        ) from None


def no_column(place: str, what: str, column: str, names: list[str]) -> DataError:
    """Return the error for a key or a column (`what`) that is not among the `names` at `place`."""
    known = ", ".join(map(repr, names)) or "none"
    return DataError(
        f"{place} has no {what} {column!r}{nearest(column, names)}; its {what}s are: {known}. "
        f"Set corpus.text_column, or `column` of the source, to the {what} that holds the text."
    )


def _not_parquet(place: str, error: Exception) -> DataError:
    return DataError(f"{place} is not a whole Parquet file: {' '.join(str(error).split()).rstrip('.')}.")


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")
