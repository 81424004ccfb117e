"""A token is shown so that its bytes can be read back, and nothing steers a terminal."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from lmexp import load_tokenizer
from lmexp.core.values.terminal import printable
from lmexp.tokenizer.spelling import spelled, spelled_token
from tests.tokenizer.families import written


def test_bytes_of_a_cut_character_are_shown_as_bytes():
    whole = "é中"
    assert spelled(whole.encode()) == "'é中'"
    assert spelled(b" \xe4\xb8") == r"' \xe4\xb8'"
    assert spelled(b"\xad\n\t\\'\x1b") == r"'\xad\n\t\\\'\u001b'"


@given(st.binary(max_size=12))
def test_python_reads_a_spelling_back_as_the_bytes_it_stands_for(content):
    shown = spelled(content)
    assert printable(shown) == shown
    assert "\n" not in shown
    read = ast.literal_eval(shown)
    text = content.decode("utf-8", "surrogateescape")
    # Python reads \xe4 as a character: it is one that stood for a byte, which is no UTF-8
    assert read == "".join(chr(ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c for c in text)


def test_special_tokens_are_shown_by_name_and_ids_past_the_vocabulary_by_number(tmp_path):
    tokenizer = load_tokenizer(written(tmp_path, "gpt2"))
    assert spelled_token(tokenizer, tokenizer.eos_token_id) == "<|endoftext|>"
    assert spelled_token(tokenizer, tokenizer.vocab_size) == f"[{tokenizer.vocab_size}]"
    (space,) = tokenizer.encode(" ")
    assert spelled_token(tokenizer, space) == "' '"
