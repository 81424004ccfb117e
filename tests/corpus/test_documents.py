"""Cutting a long text: nothing lost, the limit held, and the blocks it arrives in do not matter."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.documents import cut_blocks

TEXTS = st.text(alphabet=st.sampled_from("ab \n\r\té€😀"), max_size=200)


def cut(text: str, max_bytes: int) -> list[str]:
    return [piece.decode() for piece in cut_blocks([text.encode()], max_bytes)]


def cut_whole(data: bytes, max_bytes: int) -> list[bytes]:
    """The rule, word for word, on a text that is in memory."""
    pieces = []
    while len(data) > max_bytes:
        head = data[:max_bytes]
        for separator in (b"\n\n", b"\r\n\r\n", b"\n"):
            at = head.rfind(separator)
            if at > 0:
                end = at + len(separator)
                break
        else:
            end = max(n for n in range(max_bytes + 1) if _is_text(data[:n]))
        pieces.append(data[:end])
        data = data[end:]
    return pieces + [data] * bool(data)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(TEXTS, st.integers(4, 40), st.lists(st.integers(0, 60), max_size=8))
def test_the_cuts_are_those_of_the_whole_text_however_it_arrives(text, max_bytes, block_sizes):
    data = text.encode()
    ends = [0, *itertools.accumulate(block_sizes)]
    blocks = [data[a:b] for a, b in itertools.pairwise(ends)] + [data[ends[-1] :]]
    assert list(cut_blocks(blocks, max_bytes)) == cut_whole(data, max_bytes)


@given(TEXTS, st.integers(4, 40))
def test_pieces_of_a_text_join_to_it_and_fit_the_limit(text, max_bytes):
    pieces = cut(text, max_bytes)
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode()) <= max_bytes for piece in pieces)


@given(TEXTS, st.integers(4, 40))
def test_a_text_is_cut_inside_a_line_only_where_no_line_end_fits(text, max_bytes):
    pieces = cut(text, max_bytes)
    for piece, following in itertools.pairwise(pieces):
        if not piece.endswith("\n"):
            assert "\n" not in piece[1:]
            assert len((piece + following[0]).encode()) > max_bytes


def test_a_text_is_cut_at_blank_lines_before_line_ends():
    assert cut("one\ntwo\n\nthree\nfour\n", 16) == ["one\ntwo\n\n", "three\nfour\n"]
    assert cut("one\ntwo\nthree\n", 9) == ["one\ntwo\n", "three\n"]
    assert cut("ééé", 5) == ["éé", "é"]


@given(st.binary(max_size=60), st.integers(4, 9))
def test_bytes_that_are_no_text_are_cut_too_and_lost_nowhere(data, max_bytes):
    pieces = list(cut_blocks([data], max_bytes))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= max_bytes for piece in pieces)


def test_a_limit_that_no_character_fits_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        list(cut_blocks([b"text"], 3))
