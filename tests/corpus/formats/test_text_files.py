"""Text files by line and by paragraph, whatever ends their lines, and which ones look like a list."""

import io
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.documents import TextUnits
from lmexp.corpus.formats import text_files
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.formats.text_files import looks_like_a_list, text_documents


def read(data: bytes, document: str, max_bytes=None, drop=False):
    dropped = Counter()
    units, bad = TextUnits(document, max_bytes), BadRows(dropped, drop=drop)
    return list(text_documents(io.BytesIO(data), "PLACE", units, bad)), dict(dropped)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_line_or_paragraph_is_a_document_named_by_its_first_line(end, mark):
    data = (mark + end.join(["Ann", "Zoë", " ", "", "Bo b", "Ann"])).encode()
    assert read(data, "line")[0] == [(":1", "Ann"), (":2", "Zoë"), (":5", "Bo b"), (":6", "Ann")]
    assert read(data, "paragraph")[0] == [(":1", "Ann\nZoë"), (":5", "Bo b\nAnn")]


@given(st.text(alphabet="ab \n\ré\ufeff", max_size=80), st.integers(1, 9))
def test_lines_are_those_of_a_slow_reader_wherever_the_blocks_end(text, block):
    units, bad = TextUnits("line"), BadRows(Counter(), drop=False)
    before, text_files.BLOCK_BYTES = text_files.BLOCK_BYTES, block
    try:
        found = list(text_documents(io.BytesIO(text.encode()), "", units, bad))
    finally:
        text_files.BLOCK_BYTES = before
    lines = re.split("\r\n|\n|\r", text.removeprefix("\ufeff"))
    assert found == [(f":{i}", line) for i, line in enumerate(lines, 1) if line.encode().strip()]


def test_a_line_that_is_not_utf8_is_dropped_alone_and_a_paragraph_with_one_as_a_whole():
    data = b"one\ntw\xff\n\nthree\n"
    assert read(data, "line", drop=True) == ([(":1", "one"), (":4", "three")], {"not UTF-8": 1})
    assert read(data, "paragraph", drop=True) == ([(":4", "three")], {"not UTF-8": 1})


def test_lines_are_never_cut():
    long = b"x" * 1000
    assert read(long + b"\n" + long, "line", max_bytes=256)[0] == [
        (":1", long.decode()),
        (":2", long.decode()),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Emma\nOlivia\nAva\nZoë\nMia\n", True),
        ("a sentence of some words.\n" * 40_000, True),
        ("Emma\nOlivia\n", False),
        ("Emma\n\nOlivia\n\nAva\n\nZoë\n\nMia\n\n", False),
        ("First Citizen:\nBefore we proceed\n\n" * 20, False),
        (("word " * 60 + "\n") * 20, False),
        ("", False),
    ],
)
def test_short_lines_without_blank_ones_look_like_a_list(text, expected):
    assert looks_like_a_list(text.encode()) is expected
