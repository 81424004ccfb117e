"""File formats: from an open file to the texts in it, one at a time.

    .txt .md    the whole file, pieces, lines or paragraphs of it (`text_files`)
    .jsonl      one object a line, the text under a key
    .json       an array of such objects, or one a line
    .csv        RFC 4180 with a header line; quoted fields may hold line ends
    .parquet    one column of text, or of bytes that are UTF-8, batch by batch

Everything but Parquet may be compressed (`streams`), which a second suffix says: ``a.jsonl.zst``. No file
is read whole, except a text that is to stay whole and an array of JSON. Messages name the file and the
byte, line, item or row.
"""

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from lmexp.core.values.files import parse_json
from lmexp.corpus.config import FORMATS
from lmexp.corpus.documents import TextUnits
from lmexp.corpus.formats.rows import BadRows, no_column, row_texts
from lmexp.corpus.formats.streams import BLOCK_BYTES, COMPRESSIONS, split_suffix
from lmexp.corpus.formats.text_files import BOM, Texts, decoded, lines_of, text_documents
from lmexp.errors import DataError

_LONGEST_FIELD = 2**31 - 1
_PARQUET_ROWS = 256


def split_name(name: str, place: str, declared: str | None = None) -> tuple[str, str]:
    """Return the format and the compression ('' for none) that a file's name stands for.

    `declared` is the format where the user states it and suffixes need not.
    Errors: `DataError` for a suffix that is not known, naming `place`.
    """
    suffix, compression = split_suffix(name)
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


def known_format(name: str, place: str, declared: str | None, bad: BadRows) -> tuple[str, str] | None:
    """Return what `split_name` returns; None where `bad` has counted a file of an unknown format."""
    try:
        return split_name(name, place, declared)
    except DataError as error:
        bad("unknown format", str(error))
        return None


def read_texts(
    stream: BinaryIO, chosen: str, *, place: str, column: str, units: TextUnits, bad: BadRows
) -> Texts:
    """Yield the texts of an open file of one of `FORMATS`; Parquet must be seekable.

    `column` is the key, path of keys or column that holds the text, `units` what of a .txt or .md file is
    a document. Rows that hold no text go to `bad`.
    Errors: `DataError` naming `place` and the byte, line or row that cannot be used.
    """
    if chosen == "jsonl":
        return _json_lines(stream, place, column, bad)
    if chosen == "json":
        return _json_items(stream, place, column, bad)
    if chosen == "csv":
        return _csv_rows(stream, place, column, bad)
    if chosen == "parquet":
        return _parquet_rows(stream, place, column, bad)
    return text_documents(stream, place, units, bad)


def _json_lines(lines: Iterable[bytes], place: str, column: str, bad: BadRows) -> Texts:
    offset = 0
    for number, data in enumerate(lines, start=1):
        where = f"{place}, line {number}"
        line = decoded(data, where, offset, bad)
        offset += len(data)
        text = (line or "").strip().removeprefix(BOM)
        if not text:
            continue
        try:
            row = parse_json(text)
        except ValueError as error:
            bad("not JSON", f"{where} is not JSON: {_in_words(error)}.{_if_array(number, text)}")
            continue
        for suffix, found in row_texts(row, column, where, bad):
            yield f":{number}{suffix}", found


def _if_array(number: int, text: str) -> str:
    if number == 1 and text.startswith("["):
        return " A file that is one array of objects is read where it is called .json, or with `format` json."
    return ""


def _json_items(stream: BinaryIO, place: str, column: str, bad: BadRows) -> Texts:
    head, begins = [stream.readline()], b""
    while head[-1] and not (begins := head[-1].strip().removeprefix(BOM.encode())):
        head.append(stream.readline())
    if not begins.startswith(b"["):
        yield from _json_lines(itertools.chain(head, stream), place, column, bad)
        return
    try:
        rows = parse_json(b"".join([*head, stream.read()]).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place} is not UTF-8 at byte {error.start}; convert it, for example with iconv."
        ) from None
    except ValueError as error:
        raise DataError(f"{place} is not an array of JSON: {_in_words(error)}.") from None
    for number, row in enumerate(rows):
        for suffix, text in row_texts(row, column, f"{place}, item {number}", bad):
            yield f":{number}{suffix}", text


def _in_words(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _csv_rows(stream: BinaryIO, place: str, column: str, bad: BadRows) -> Texts:
    rows = _CsvRows(stream, place, bad)
    header = next(rows.sound(), None)
    if header is None:
        return
    names = [header[1][0].removeprefix(BOM), *header[1][1:]]
    if column not in names:
        raise no_column(place, "column", column, names)
    index = names.index(column)
    for number, row in rows.sound():
        if len(row) == len(names):
            yield f":{number}", row[index]
        else:
            bad(
                "wrong number of fields",
                f"{place}, line {number} has {len(row)} fields, but the header names {len(names)}; "
                f"a field with a comma, a quote or a line end in it must be quoted.",
            )


class _CsvRows:
    """The rows of a CSV file."""

    def __init__(self, stream: BinaryIO, place: str, bad: BadRows) -> None:
        csv.field_size_limit(_LONGEST_FIELD)
        self._lines = _CsvLines(stream)
        self._rows = csv.reader(iter(self._lines), strict=True)
        self._place, self._bad = place, bad
        self._is_header = True

    def sound(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (first line, fields) of each row that is not blank; what cannot be read goes to `bad`."""
        while True:
            number = self._rows.line_num + 1
            where = f"{self._place}, line {number}"
            self._lines.broken_at = None
            try:
                row = next(self._rows, None)
            except csv.Error as error:
                if self._is_header or "end of data" in str(error):  # more would be lost than the row
                    raise DataError(f"{where} is not CSV: {_of_csv(error)}.") from None
                self._bad("not CSV", f"{where} is not CSV: {error}.")
                continue
            if row is None:
                return
            if self._lines.broken_at is not None:
                sentence = (
                    f"{where} is not UTF-8 at byte {self._lines.broken_at} of the file; convert it, for "
                    f"example with iconv."
                )
                if self._is_header:
                    raise DataError(sentence)
                self._bad("not UTF-8", sentence)
            elif row:
                self._is_header = False
                yield number, row


def _of_csv(error: csv.Error) -> str:
    return "a quote that opens there is never closed" if "end of data" in str(error) else str(error)


class _CsvLines:
    """The lines of a CSV file, which end as its first line does: where that is by a lone CR, each does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.broken_at: int | None = None
        """The first byte of the file that is not UTF-8 among the lines since this was set to None."""

    def __iter__(self) -> Iterator[str]:
        offset = 0
        for number, data in enumerate(self._lines(), start=1):
            try:
                line = data.decode()
            except UnicodeDecodeError as error:
                self.broken_at = self.broken_at if self.broken_at is not None else offset + error.start
                line = data.decode(errors="replace")
            offset += len(data)
            yield line.removeprefix(BOM) if number == 1 else line

    def _lines(self) -> Iterator[bytes]:
        first = self._stream.readline()
        header, end, _ = first.removesuffix(b"\n").removesuffix(b"\r").partition(b"\r")
        if end and header.count(b'"') % 2 == 0:
            return lines_of(self._stream, first)
        return itertools.chain([first] if first else [], self._stream)


def _parquet_rows(stream: BinaryIO, place: str, column: str, bad: BadRows) -> Texts:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lmexp.corpus.formats.columns import text_column

    damage = (pa.ArrowException, OSError, OverflowError, MemoryError, UnicodeDecodeError)
    try:
        file = pq.ParquetFile(stream, buffer_size=BLOCK_BYTES, pre_buffer=False)
        schema = file.schema_arrow
    except damage as error:
        raise _not_parquet(place, error) from None
    with file:
        wanted = text_column(column, schema, place)
        row = 0
        batches = file.iter_batches(batch_size=_PARQUET_ROWS, columns=[wanted.root], use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except damage as error:
                raise _not_parquet(place, error) from None
            if batch is None:
                break
            for number, suffix, text in wanted.texts(batch.column(0), row, place, bad):
                yield f":{number}{suffix}", text
            row += batch.num_rows


def _not_parquet(place: str, error: Exception) -> DataError:
    return DataError(f"{place} is not a whole Parquet file: {' '.join(str(error).split()).rstrip('.')}.")
