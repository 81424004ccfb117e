"""Text files as documents: a file whole or in pieces, a line each, or a paragraph each.

    file         the whole file; pieces of it where it is long (`documents.cut_blocks`)
    line         each line with anything but white space in it, without its line end
    paragraph    lines up to a blank one, joined by newlines

Lines end as Unix, Windows or old Macs end them. Lines and paragraphs are never cut.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from lmexp.corpus.documents import TextUnits, cut_blocks
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.formats.streams import BLOCK_BYTES

Texts = Iterator[tuple[str, str]]
"""Pairs of what follows the file's name in a document's id, and the text."""

BOM = "\ufeff"
HINT_BYTES = 2**16
"""What of a file's beginning `looks_like_a_list` wants to see."""
_HINT_LINES = 5
_HINT_LINE_BYTES = 200


def text_documents(stream: BinaryIO, place: str, units: TextUnits, bad: BadRows) -> Texts:
    """Yield the documents of an open text file; what is not UTF-8 goes to `bad`."""
    if units.document == "file":
        return _pieces(stream, place, units.max_bytes, bad)
    lines = enumerate(_lines(stream), start=1)
    return _single_lines(lines, place, bad) if units.document == "line" else _paragraphs(lines, place, bad)


def decoded(data: bytes, place: str, offset: int, bad: BadRows) -> str | None:
    """Return the text of bytes that begin at byte `offset` of a file; None where `bad` has counted them."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        at = offset + error.start
        bad(
            "not UTF-8", f"{place} is not UTF-8 at byte {at} of the file; convert it, for example with iconv."
        )
        return None


def lines_of(stream: BinaryIO, head: bytes = b"") -> Iterator[bytes]:
    """Yield the lines of `head` and the rest of its file, each with its end, also a lone carriage return."""
    rest = head
    while block := stream.read(BLOCK_BYTES):
        *lines, rest = (rest + block).splitlines(keepends=True)  # the last may go on, or its \r with \n
        yield from lines
    yield from rest.splitlines(keepends=True)


def looks_like_a_list(head: bytes) -> bool:
    """Whether the beginning of a text file is short lines without blank ones, as in a list of names."""
    lines = head[:HINT_BYTES].splitlines()
    if len(head) >= HINT_BYTES:
        lines = lines[:-1]  # cut off
    written = [line for line in lines if line.strip()]
    blank = len(lines) - len(written)
    return (
        len(written) >= _HINT_LINES
        and 100 * blank <= len(lines)
        and sum(map(len, written)) <= _HINT_LINE_BYTES * len(written)
    )


def _pieces(stream: BinaryIO, place: str, max_bytes: int | None, bad: BadRows) -> Texts:
    head = stream.read() if max_bytes is None else stream.read(max_bytes + 1)
    if max_bytes is None or len(head) <= max_bytes:
        text = decoded(head, place, 0, bad)
        if text is not None:
            yield "", text.removeprefix(BOM)
        return
    mark = BOM.encode()
    offset = len(mark) if head.startswith(mark) else 0
    blocks = iter(lambda: stream.read(max(BLOCK_BYTES, max_bytes)), b"")
    for i, piece in enumerate(cut_blocks(itertools.chain([head[offset:]], blocks), max_bytes)):
        text = decoded(piece, place, offset, bad)
        if text is not None:
            yield f":{i}", text
        offset += len(piece)


def _single_lines(lines: Iterable[tuple[int, tuple[int, bytes]]], place: str, bad: BadRows) -> Texts:
    for number, (offset, line) in lines:
        if line.strip():
            text = decoded(line, f"{place}, line {number}", offset, bad)
            if text is not None:
                yield f":{number}", text


def _paragraphs(lines: Iterable[tuple[int, tuple[int, bytes]]], place: str, bad: BadRows) -> Texts:
    for written, group in itertools.groupby(lines, key=lambda entry: bool(entry[1][1].strip())):
        if written:
            (number, (offset, first)), *rest = group
            data = b"\n".join([first, *(line for _, (_, line) in rest)])
            text = decoded(data, f"{place}, line {number}", offset, bad)
            if text is not None:
                yield f":{number}", text


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (its first byte's position, the line without its end), the byte order mark left out."""
    mark, offset = BOM.encode(), 0
    for line in lines_of(stream):
        left_out = len(mark) if offset == 0 and line.startswith(mark) else 0
        yield offset + left_out, line[left_out:].removesuffix(b"\n").removesuffix(b"\r")
        offset += len(line)
