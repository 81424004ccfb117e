"""Figures of a comparison are those of counting by hand."""

import pytest

from lmexp.core.values.config import build
from lmexp.errors import DataError
from lmexp.tokenizer.compared import compared
from lmexp.tokenizer.config import TOKENIZERS

DOMAINS = {"letters": ["aab", "b"], "more": ["a é"], "none": []}


def made(kind, **values):
    return build(TOKENIZERS.kinds[kind], values).make(iter(["aab", "a é", "b b"]))


def test_of_bytes_each_token_is_one_and_four_fifths_of_nothing_is_lost():
    found = compared(made("byte"), DOMAINS)
    assert found.bytes_per_token == 1
    assert found.domains == {"letters": 1, "more": 1, "none": 0}
    assert found.vocab_used == len({*"aab a é".encode()}) / 256
    assert found.lost_share == 0
    assert found.megabytes_per_cpu_second > 0


def test_of_words_what_was_not_learnt_is_lost_by_its_bytes():
    tokenizer = made("word", min_count=1)
    found = compared(tokenizer, DOMAINS | {"unknown": ["a xyz"]})
    assert found.domains["letters"] == 4 / 2
    assert found.domains["more"] == 4 / 2
    assert found.domains["unknown"] == 5 / 2
    assert found.lost_share == 3 / 13
    ordinary = sum(bool(content) for content in tokenizer.token_contents)
    assert found.vocab_used == pytest.approx(5 / ordinary), "aab, b, a, é and <unk>"


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe", "unigram"])
def test_bytes_per_token_are_bytes_over_tokens_of_each_domain(kind):
    tokenizer = made(kind, vocab_size=300)
    found = compared(tokenizer, DOMAINS)
    tokens = {name: sum(len(tokenizer.encode(text)) for text in texts) for name, texts in DOMAINS.items()}
    assert found.domains == {"letters": 4 / tokens["letters"], "more": 4 / tokens["more"], "none": 0}
    assert found.bytes_per_token == 8 / sum(tokens.values())


def test_without_text_there_is_nothing_to_compare():
    with pytest.raises(DataError, match=r"no text to compare tokenizers on; give some with --texts"):
        compared(made("byte"), {"none": [""]})


def test_of_white_space_alone_words_make_no_token_and_lose_all():
    found = compared(made("word", min_count=1), {"blank": ["   ", " "]})
    assert (found.lost_share, found.vocab_used) == (1, 0)
