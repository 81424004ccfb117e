"""Rows of documents: nothing lost where nothing may be, and no better bin than the best fit."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.core.config import build
from lmexp.errors import ConfigError, DataError
from lmexp.packing.batches import BatchOrder, MicroBatches
from lmexp.packing.config import PackingConfig
from lmexp.packing.rows import best_fit_decreasing
from lmexp.packing.samples import IGNORED_LABEL
from lmexp.packing.store import TokenStore, pack_rows, pack_split, write_manifest
from tests.packing.test_store import encoded

EOS = 0
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=60)
ROWS = st.integers(2, 17)


def slow_best_fit_decreasing(sizes, capacity):
    """One item after the other, looking at every bin."""
    bins: list[list[int]] = []
    for size in sorted(sizes, reverse=True):
        fitting = [b for b in bins if sum(b) + size <= capacity]
        if fitting:
            max(fitting, key=sum).append(size)
        else:
            bins.append([size])
    return bins


def slow_bos_aligned(sizes, capacity):
    """Fill one row after the other; return (size, inputs taken) of each document of each row."""
    left, rows = sorted(sizes), []
    while True:
        row, room = [], capacity
        while room and left:
            fitting = [size for size in left if size <= room]
            size = fitting[-1] if fitting else min(left)
            left.remove(size)
            row.append((size, min(size, room)))
            room -= row[-1][1]
        if room:
            return rows
        rows.append(row)


@given(st.data(), st.integers(1, 30))
@settings(max_examples=200)
def test_best_fit_decreasing_fills_bins_like_a_slow_implementation(data, capacity):
    sizes = data.draw(st.lists(st.integers(1, capacity), max_size=80))
    bins, num_bins = best_fit_decreasing(np.array(sizes, dtype=np.int64), capacity)
    fills = np.bincount(bins, weights=sizes, minlength=num_bins).astype(int)
    assert sorted(fills) == sorted(sum(b) for b in slow_best_fit_decreasing(sizes, capacity))


def pack(folder, lengths, mode, context_length):
    """Pack documents whose tokens are all different, so that each can be told from any other."""
    ids = iter(range(1, sum(lengths) + 1))
    documents = [([next(ids) for _ in range(n)], n) for n in lengths]
    sizes = {"vocab_size": sum(lengths) + 1, "eos_token_id": EOS}
    entry = pack_split(encoded(documents), folder, "train", shard_tokens=1024, **sizes)
    metrics = pack_rows(folder, "train", entry, mode=mode, context_length=context_length)
    write_manifest(folder, {"train": entry}, **sizes)
    split = TokenStore.open(folder).split("train")
    assert metrics["rows"] == (entry["rows"]["rows"])
    return split, metrics, [ids for ids, _ in documents]


def documents_of(row):
    """Return the (inputs, labels) pairs of each document of a row, told apart by end of text."""
    inputs, labels = row
    begins = np.flatnonzero(inputs == EOS)
    edges = sorted({0, *begins.tolist()})
    return [
        list(zip(inputs[a:b].tolist(), labels[a:b].tolist(), strict=True))
        for a, b in zip(edges, [*edges[1:], len(inputs)], strict=True)
    ]


@given(LENGTHS, ROWS)
@example([40, 40, 40], 7)
@example([0, 0, 0], 2)
@settings(max_examples=100, deadline=None)
def test_best_fit_predicts_every_token_of_every_document_once_an_epoch(lengths, context_length):
    with tempfile.TemporaryDirectory() as folder:
        split, metrics, documents = pack(Path(folder), lengths, "best_fit", context_length)
        samples = split.samples(context_length)
        predicted = Counter[int]()
        for i in range(samples.num_samples):
            for pairs in documents_of(samples.read(i)):
                for token, label in pairs:
                    if label != IGNORED_LABEL:
                        predicted[label] += 1
                        # what comes before a token in its row is what comes before it in its document
                        assert label in (EOS, token + 1) or token == EOS
        expected = Counter(token for document in documents for token in (*document, EOS))
        assert predicted == expected
        inputs = samples.num_samples * context_length
        assert metrics["padding"] == pytest.approx(1 - sum(expected.values()) / inputs)
        assert metrics["dropped_tokens"] == 0
        assert metrics["cut_documents"] == sum(n + 1 > context_length for n in lengths) / len(lengths)


@given(LENGTHS, ROWS)
@settings(max_examples=100, deadline=None)
def test_a_document_that_fits_a_row_lies_whole_in_one(lengths, context_length):
    with tempfile.TemporaryDirectory() as folder:
        split, _, documents = pack(Path(folder), lengths, "best_fit", context_length)
        samples = split.samples(context_length)
        rows = [samples.read(i) for i in range(samples.num_samples)]
        found = [pairs for row in rows for pairs in documents_of(row)]
        for document in documents:
            if len(document) < context_length:
                whole = list(zip([EOS, *document], [*document, EOS], strict=True))
                assert whole in [pairs[: len(whole)] for pairs in found]


@given(LENGTHS, ROWS)
@settings(max_examples=100, deadline=None)
def test_aligned_rows_begin_with_a_document_have_no_padding_and_are_those_of_a_slow_implementation(
    lengths, context_length
):
    with tempfile.TemporaryDirectory() as folder:
        split, metrics, documents = pack(Path(folder), lengths, "bos_aligned", context_length)
        expected = slow_bos_aligned([n + 1 for n in lengths], context_length)
        assert metrics["rows"] == len(expected)
        assert metrics["padding"] == 0 or not expected
        assert metrics["dropped_tokens"] == split.num_tokens - len(expected) * context_length
        if not expected:
            with pytest.raises(DataError, match="does not fill one row"):
                split.samples(context_length)
            return
        by_first = {document[0]: document for document in documents if document}
        samples = split.samples(context_length)
        taken = []
        for i in range(len(expected)):
            inputs, labels = samples.read(i)
            assert inputs[0] == EOS
            assert (labels != IGNORED_LABEL).all()
            row = []
            for pairs in documents_of((inputs, labels)):
                size = len(by_first.get(pairs[0][1], [])) + 1
                whole = [EOS, *by_first.get(pairs[0][1], []), EOS]
                assert [label for _, label in pairs] == whole[1 : len(pairs) + 1]
                row.append((size, len(pairs)))
            taken.append(sorted(row))
        assert sorted(taken) == sorted(sorted(row) for row in expected)


@given(LENGTHS, ROWS, st.integers(1, 3), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_count_of_labels_is_that_of_the_global_batch_at_any_world_size(
    lengths, context_length, world_size, seed
):
    with tempfile.TemporaryDirectory() as folder:
        split, _, _ = pack(Path(folder), lengths, "best_fit", context_length)
        samples = split.samples(context_length)
        order = BatchOrder(samples.num_samples, 6, seed)
        cut = {"world_size": world_size, "micro_batch_size": 6 // world_size, "max_steps": 3}
        ranks = [MicroBatches(samples, order, rank=r, eos_token_id=EOS, **cut) for r in range(world_size)]
        for step in range(3):
            items = [rank[step] for rank in ranks]
            valid = sum(int((item["labels"] != IGNORED_LABEL).sum()) for item in items)
            assert [item["num_valid_tokens"] for item in items] == [valid] * world_size
            for item in items:
                assert torch.equal(item["document_ids"], (item["input_ids"] == EOS).cumsum(dim=1))


def test_two_hundred_thousand_documents_waste_less_than_a_thousandth_of_their_rows():
    generator = np.random.default_rng(0)
    sizes = np.minimum(generator.lognormal(5.5, 1.0, 200_000).astype(np.int64) + 1, 1024)
    bins, num_bins = best_fit_decreasing(sizes, 1024)
    assert np.bincount(bins, weights=sizes).max() <= 1024
    assert 1 - sizes.sum() / (num_bins * 1024) < 1e-3


def test_a_model_of_another_context_length_is_refused_in_a_sentence(tmp_path):
    split, _, _ = pack(tmp_path, [5, 9, 3], "best_fit", 8)
    with pytest.raises(DataError, match=r"rows of 8 tokens, and the model's context_length is 16"):
        split.samples(16)
    np.save(tmp_path / "train.rows.npy", np.zeros((1, 2), dtype=np.int64))
    with pytest.raises(DataError, match="pack the corpus again"):
        split.samples(8)
    (tmp_path / "train.segments.npy").unlink()
    with pytest.raises(DataError, match=r"train\.segments\.npy cannot be read"):
        split.samples(8)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mode": "best_fit"}, "context_length is required where mode is best_fit; give packing=best_fit"),
        ({"context_length": 8}, "read by the modes best_fit and bos_aligned alone"),
        ({"mode": "best-fit"}, "did you mean 'best_fit'"),
    ],
)
def test_a_mode_and_its_context_length_go_together(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(PackingConfig, values)
