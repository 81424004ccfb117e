"""Fast training: the reference's tokenizer to the byte, or the reference itself."""

import re
import sys

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.tokenizer import fast_train
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.fast_train import spread_texts, train_on_batches
from lmexp.tokenizer.roles import END_OF_TEXT

CORPUS = [f"def function_{i}(argument):\n    return {i} * argument  # été {END_OF_TEXT}" for i in range(40)]


def in_batches(texts, size=7):
    return [pa.array(texts[i : i + size], pa.string()) for i in range(0, len(texts), size)]


def train(texts, **config):
    batches = in_batches(texts)
    num_bytes = sum(len(text.encode()) for text in texts)
    return train_on_batches(ByteBPEConfig(**config), lambda: iter(batches), num_bytes)


def assert_same(found, expected):
    assert found.definition() == expected.definition()
    assert found._backend.to_str() == expected._backend.to_str()


def test_gigatoken_trains_the_tokenizer_that_the_reference_trains():
    found = train(CORPUS, vocab_size=330)
    assert found.record["trained_by"] == "gigatoken"
    assert found.record["rejected"] == {}
    assert found.record["bytes"] == sum(len(text.encode()) for text in CORPUS)
    assert_same(found.tokenizer, ByteBPEConfig(vocab_size=330).make(iter(CORPUS)))


@given(
    texts=st.lists(st.text(st.sampled_from("aab é中😀'sd \n\r\t01"), max_size=60), min_size=1, max_size=12),
    vocab_size=st.integers(257, 300),
)
@example(texts=["ab ab"], vocab_size=300)
@example(texts=["\u088fa \u088fa"], vocab_size=258)
@settings(max_examples=60, deadline=None)
def test_small_texts_full_of_ties_train_the_reference_tokenizer(texts, vocab_size):
    found = train(texts, vocab_size=vocab_size).tokenizer
    assert_same(found, ByteBPEConfig(vocab_size=vocab_size).make(iter(texts)))


def test_nothing_is_printed_while_training(capfd):
    train(CORPUS, vocab_size=300)
    assert capfd.readouterr() == ("", "")


def test_a_corpus_without_enough_pairs_is_trained_by_the_reference():
    found = train(["ab ab ab"], vocab_size=4096)
    assert found.record == {
        "trained_by": "tokenizers",
        "version": found.record["version"],
        "rejected": {"gigatoken": "ran out of pairs"},
        "bytes": 8,
    }


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda good: good[::-1], "finds other merges"),
        (lambda good: good[:-3], "ran out of pairs|finds other merges"),
        (lambda _: 1 / 0, "failed"),
    ],
)
def test_a_trainer_that_differs_or_fails_is_not_believed(monkeypatch, broken, reason):
    good = fast_train._merges
    monkeypatch.setattr(fast_train, "_merges", lambda size, data: broken(good(size, data)))
    found = train(CORPUS, vocab_size=330)
    assert found.record["trained_by"] == "tokenizers"
    assert re.search(reason, found.record["rejected"]["gigatoken"])
    assert_same(found.tokenizer, ByteBPEConfig(vocab_size=330).make(iter(CORPUS)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.setitem(sys.modules, "gigatoken", None), "is not installed"),
        (lambda m: m.setattr(fast_train, "_IN_MEMORY_BYTES", 100), "set tokenizer.train_bytes"),
    ],
)
def test_the_reference_trains_where_gigatoken_cannot(monkeypatch, change, reason):
    change(monkeypatch)
    found = train(CORPUS, vocab_size=300)
    assert reason in found.record["rejected"]["gigatoken"]
    assert_same(found.tokenizer, ByteBPEConfig(vocab_size=300).make(iter(CORPUS)))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=80), st.integers(1, 2000))
@settings(max_examples=100, deadline=None)
def test_a_share_of_the_texts_is_spread_evenly_and_never_exceeds_its_limit(sizes, limit):
    texts = [chr(97 + i % 26) * size for i, size in enumerate(sizes)]
    total = sum(sizes)
    kept = [t for batch in spread_texts(iter(in_batches(texts)), total, limit) for t in batch.to_pylist()]
    taken = sum(map(len, kept))
    assert taken <= limit
    rest = iter(texts)
    assert all(any(text == other for other in rest) for text in kept), "the order is kept"
    if limit >= total:
        assert kept == texts
    elif total:
        assert taken > limit - max(sizes) - limit / total * max(sizes) - 1


def test_a_limit_reads_documents_from_all_over_the_split():
    texts = [f"{i:04d} " * 20 for i in range(1000)]
    found = train(texts, vocab_size=260, train_bytes=10_000)
    assert 9_000 < found.record["bytes"] <= 10_000
    batches = spread_texts(iter(in_batches(texts)), 100_000, 10_000)
    numbers = [int(text[:4]) for batch in batches for text in batch.to_pylist()]
    assert [sum(low <= n < low + 250 for n in numbers) for low in range(0, 1000, 250)] == [25] * 4
    kept = [texts[n] for n in numbers]
    assert_same(found.tokenizer, ByteBPEConfig(vocab_size=260).make(iter(kept)))


def test_a_limit_below_every_document_is_a_sentence():
    with pytest.raises(DataError, match=r"tokenizer\.train_bytes \(5\) is less than any document has"):
        train(CORPUS, vocab_size=300, train_bytes=5)
