"""Encoders: every one gives the ids of `tokenizers`, or is not used and says why."""

import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from lmexp.errors import StageError
from lmexp.tokenizer import encoders
from lmexp.tokenizer.config import ENCODERS, ByteBPEConfig
from lmexp.tokenizer.encoders import choose_encoder, text_buffers
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.roles import END_OF_TEXT
from lmexp.tokenizer.structure import byte_characters
from tests.tokenizer.families import trained

CORPUS = [
    f"def function_{i}(argument, other):\n    return argument + {i} * other  # été 😀 don't\r\n"
    for i in range(50)
]
UNICODE_17_LETTER = "\u088f"
"""Unknown to Python 3.11 to 3.14, to `tokenizers` 0.23 too, and a letter to gigatoken 0.10."""


@pytest.fixture(scope="module")
def tokenizer():
    return ByteBPEConfig(vocab_size=400).make(iter(CORPUS))


@pytest.fixture(scope="module")
def chosen(tokenizer):
    return {name: choose_encoder(tokenizer, CORPUS[:5], name) for name in ENCODERS}


def encode(encoder, texts):
    """Return the ids of each text as lists, checked for agreement of the arrays."""
    found = encoder.encode(pa.array(texts, pa.string()))
    assert found.ids.dtype == np.uint32
    assert found.num_tokens.dtype == found.num_bytes.dtype == np.int64
    assert found.num_bytes.tolist() == [len(text.encode()) for text in texts]
    ends = found.num_tokens.cumsum()
    assert ends[-1:].sum() == len(found.ids)
    return [ids.tolist() for ids in np.split(found.ids, ends[:-1])] if texts else []


NASTY = st.text(st.sampled_from("ab 1\n\r\t's\u2019.é中😀 \u2003\u0661\u0301_<|>\x00\u088f"), max_size=40)


@pytest.mark.parametrize("name", ENCODERS)
@given(texts=st.lists(st.one_of(NASTY, st.text(max_size=20)), max_size=8))
@example(texts=["", "", "a"])
@example(texts=[f"x{END_OF_TEXT}y", UNICODE_17_LETTER * 3, "z"])
@settings(max_examples=150, deadline=None)
def test_every_encoder_gives_the_ids_of_the_tokenizer(chosen, tokenizer, name, texts):
    assert encode(chosen[name], texts) == [tokenizer.encode(text) for text in texts]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_slice_of_an_array_is_encoded_as_itself(chosen, tokenizer, name):
    texts = pa.array(["before", *CORPUS[:3], "after"]).slice(1, 3)
    assert text_buffers(texts)[1].tobytes().decode() == "".join(CORPUS[:3])
    found = chosen[name].encode(texts)
    assert found.ids.tolist() == [i for text in CORPUS[:3] for i in tokenizer.encode(text)]


def test_a_text_with_a_character_newer_than_python_goes_through_the_reference(chosen):
    assert unicodedata.category(UNICODE_17_LETTER) == "Cn", "replace it by a letter that Python lacks"
    encoder = chosen["gigatoken"]
    before = encoder.texts_by_reference
    encode(encoder, ["old", f"new {UNICODE_17_LETTER}", "old 中", "é", UNICODE_17_LETTER])
    assert encoder.texts_by_reference == before + 2


@pytest.mark.parametrize("name", ["gigatoken", "tiktoken"])
def test_every_character_that_python_knows_splits_words_alike(name):
    # With a token for each pair of bytes, the ids show where the pre-tokenizer split.
    alphabet = byte_characters()
    vocabulary = {END_OF_TEXT: 0} | {character: 1 + i for i, character in enumerate(alphabet)}
    merges = [(a, b) for a in alphabet for b in alphabet]
    vocabulary |= {a + b: 257 + i for i, (a, b) in enumerate(merges)}
    backend = Backend(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([END_OF_TEXT])
    tokenizer = LibraryTokenizer(backend)
    encoder = choose_encoder(tokenizer, [], name)
    known = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
        and not (0x3400 < code < 0x9FFF or 0xAC00 < code < 0xD7A3 or 0x17000 < code < 0x323AF)  # of one kind
    ]
    assert len(known) > 20_000
    texts = [f"ab{character}c {character}{character}1{character} !{character}" for character in known]
    found, expected = encode(encoder, texts), tokenizer.encode_batch(texts)
    assert [a for a, x, y in zip(known, found, expected, strict=True) if x != y] == []


def test_what_was_used_and_compared_is_recorded(chosen, tokenizer):
    for name, encoder in chosen.items():
        record = encoder.record
        assert encoder.name == record["encoder"] == name
        assert record["version"]
        assert record["sample"]["texts"] > 300
        assert record["rejected"] == {}
    assert choose_encoder(tokenizer, CORPUS).name == "gigatoken"


def test_a_missing_package_is_passed_over_with_its_reason(monkeypatch, tokenizer):
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    encoder = choose_encoder(tokenizer, CORPUS)
    assert encoder.name == "tiktoken"
    assert "is not installed" in encoder.record["rejected"]["gigatoken"]
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    encoder = choose_encoder(tokenizer, CORPUS)
    assert encoder.name == "tokenizers"
    assert set(encoder.record["rejected"]) == {"gigatoken", "tiktoken"}
    with pytest.raises(StageError, match=r"packing\.encoder=tiktoken cannot be used: it is not installed"):
        choose_encoder(tokenizer, CORPUS, "tiktoken")


class PanicException(BaseException):  # as Rust's panics look from Python
    pass


def panic(*_):
    raise PanicException("at lib.rs")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda ids, counts: (ids[::-1], counts), "gives other ids for"),
        (lambda ids, counts: (ids, counts[::-1]), "gives other ids for"),
        (panic, r"failed on the sample \(at lib\.rs\)"),
        (lambda *_: 1 / 0, "failed on the sample"),
    ],
)
def test_an_encoder_that_differs_or_fails_on_the_sample_is_not_used(monkeypatch, tokenizer, broken, reason):
    good = encoders._tiktoken(tokenizer.definition())
    monkeypatch.setitem(encoders._FAST, "gigatoken", lambda _: lambda texts: broken(*good(texts)))
    encoder = choose_encoder(tokenizer, CORPUS)
    assert encoder.name == "tiktoken"
    with pytest.raises(StageError, match=reason):
        choose_encoder(tokenizer, CORPUS, "gigatoken")


def test_an_interruption_is_no_failure_of_an_encoder(monkeypatch, tokenizer):
    def interrupted(texts):
        raise KeyboardInterrupt

    monkeypatch.setitem(encoders._FAST, "gigatoken", lambda _: interrupted)
    with pytest.raises(KeyboardInterrupt):
        choose_encoder(tokenizer, CORPUS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda b: setattr(
                b,
                "pre_tokenizer",
                pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(False)]),
            ),
            "does not know its pre-tokenizer",
        ),
        (lambda b: b.add_tokens(["function"]), "its added tokens"),
    ],
)
def test_a_tokenizer_of_another_kind_is_encoded_by_the_reference(change, reason):
    backend = ByteBPEConfig(vocab_size=300).make(iter(CORPUS))._backend
    change(backend)
    tokenizer = LibraryTokenizer(backend)
    encoder = choose_encoder(tokenizer, CORPUS)
    assert encoder.name == "tokenizers"
    assert all(reason in why for why in encoder.record["rejected"].values())
    assert encode(encoder, CORPUS) == [tokenizer.encode(text) for text in CORPUS]


def test_a_tokenizer_that_ignores_merges_is_encoded_by_the_reference():
    backend = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), ignore_merges=True)
    backend.add_special_tokens([END_OF_TEXT])
    encoder = choose_encoder(LibraryTokenizer(backend), CORPUS)
    assert encoder.name == "tokenizers"
    assert set(encoder.record["rejected"].values()) == {"does not ignore merges"}
