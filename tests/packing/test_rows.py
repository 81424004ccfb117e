"""Rows of documents: nothing lost where nothing may be, and no better bin than the best fit."""

import hashlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.core.values.config import build, identity
from lmexp.errors import ConfigError, DataError
from lmexp.packing.batches import BatchOrder
from lmexp.packing.config import PackingConfig
from lmexp.packing.rows import _firsts, _most_rows, best_fit, best_fit_decreasing, bos_aligned, first_skew
from lmexp.packing.samples import IGNORED_LABEL, RowSamples
from lmexp.packing.store import TokenStore, pack_rows, pack_split, write_manifest
from lmexp.training.objectives.micro_batches import MicroBatches
from lmexp.training.objectives.next_token import NextToken
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


def slow_fill(firsts, behind, capacity):
    """Fill rows one after the other, those with most room first, behind the document that begins each.

    Return (size, inputs taken) of each document of each row, and how many rows were left unfilled.
    """
    left, rows = sorted(behind), []
    for first in sorted(firsts):
        row, room = [(first, min(first, capacity))], capacity - min(first, capacity)
        while room and left:
            fitting = [size for size in left if size <= room]
            size = fitting[-1] if fitting else min(left)
            left.remove(size)
            row.append((size, min(size, room)))
            room -= row[-1][1]
        if room:
            break
        rows.append(row)
    return rows, len(firsts) - len(rows)


@given(st.data(), st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_best_fit_decreasing_fills_bins_like_a_slow_implementation(data, capacity):
    sizes = data.draw(st.lists(st.integers(1, capacity), max_size=80))
    bins, num_bins = best_fit_decreasing(np.array(sizes, dtype=np.int64), capacity)
    fills = np.bincount(bins, weights=sizes, minlength=num_bins).astype(int)
    assert sorted(fills) == sorted(sum(b) for b in slow_best_fit_decreasing(sizes, capacity))


def pack(folder, lengths, mode, context_length, seed=0):
    """Pack documents whose tokens are all different, so that each can be told from any other."""
    ids = iter(range(1, sum(lengths) + 1))
    documents = [([next(ids) for _ in range(n)], n) for n in lengths]
    sizes = {"vocab_size": sum(lengths) + 1, "eos_token_id": EOS}
    entry = pack_split(encoded(documents), folder, "train", shard_tokens=1024, **sizes)
    metrics = pack_rows(folder, "train", entry, mode=mode, context_length=context_length, seed=seed)
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


@given(LENGTHS, ROWS, st.integers(0, 2**63 - 1))
@settings(max_examples=100, deadline=None)
def test_aligned_rows_begin_with_a_document_and_are_filled_like_a_slow_implementation(
    lengths, context_length, seed
):
    with tempfile.TemporaryDirectory() as folder:
        split, metrics, documents = pack(Path(folder), lengths, "bos_aligned", context_length, seed)
        num_rows = int(metrics["rows"])
        assert metrics["padding"] == 0 or not num_rows
        assert metrics["dropped_tokens"] == split.num_tokens - num_rows * context_length
        if not num_rows:
            assert slow_fill(lengths[:1] and [lengths[0] + 1], [n + 1 for n in lengths[1:]], context_length)[
                1
            ]
            with pytest.raises(DataError, match="does not fill one row"):
                split.samples(context_length)
            return
        numbers = {document[0]: i for i, document in enumerate(documents) if document}
        samples = split.samples(context_length)
        rows, read = [], []
        for i in range(num_rows):
            inputs, labels = samples.read(i)
            assert inputs[0] == EOS
            assert (labels != IGNORED_LABEL).all()
            rows.append([])
            for pairs in documents_of((inputs, labels)):
                number = numbers.get(pairs[0][1])  # None: a document without tokens
                whole = [EOS, *([] if number is None else documents[number]), EOS]
                assert [label for _, label in pairs] == whole[1 : len(pairs) + 1]
                rows[-1].append((len(whole) - 1, len(pairs)))
                read += [] if number is None else [number]
        assert len(read) == len(set(read)), "no document is read twice"
        firsts = [row[0][0] for row in rows]
        behind = list((Counter(n + 1 for n in lengths) - Counter(firsts)).elements())
        expected, unfilled = slow_fill(firsts, behind, context_length)
        assert not unfilled
        assert sorted(map(sorted, rows)) == sorted(map(sorted, expected))
        cut = len(lengths) - sum(size == taken for row in rows for size, taken in row)
        assert metrics["cut_documents"] == cut / len(lengths)


@given(st.integers(1, 30), st.integers(1, 30))
@settings(deadline=None)
def test_the_documents_that_begin_rows_differ_and_each_is_among_them_equally_often(num_documents, num_rows):
    num_rows = min(num_rows, num_documents)
    drawn = [_firsts(num_documents, num_rows, offset).tolist() for offset in range(num_documents)]
    assert all(len(set(some)) == num_rows for some in drawn)
    assert Counter(document for some in drawn for document in some) == dict.fromkeys(
        range(num_documents), num_rows
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), ROWS, st.integers(0, 59))
@settings(max_examples=100, deadline=None)
def test_there_are_as_many_aligned_rows_as_can_be_filled(sizes, context_length, offset):
    sizes, offset = np.sort(sizes), offset % len(sizes)
    classes = np.minimum(sizes, context_length + 1)
    num_rows = _most_rows(classes, context_length, offset)
    for number, fits in ((num_rows, True), (num_rows + 1, False)):
        if number > len(sizes):
            continue
        firsts = _firsts(len(sizes), number, offset)
        assert len(set(firsts.tolist())) == number
        unfilled = slow_fill(sizes[firsts].tolist(), np.delete(sizes, firsts).tolist(), context_length)[1]
        assert (unfilled == 0) == fits


def sentences(generator):
    """Sentences of which 5 % begin with "A" and are one token longer than the others."""
    return np.where(np.arange(8000) % 20 == 0, 13, 12)


def articles(generator):
    """Documents of very different lengths, most of them shorter than the longest rows."""
    return np.minimum(generator.lognormal(4.0, 1.0, 6000).astype(np.int64) + 1, 3000)


def notes_among_books(generator):
    """One document in ten is longer than any row."""
    return np.where(generator.random(5000) < 0.1, 4000, generator.integers(3, 60, 5000))


CORPORA = [sentences, articles, notes_among_books]


@pytest.mark.parametrize("context_length", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("corpus", CORPORA)
def test_each_length_begins_as_many_aligned_rows_as_it_is_of_the_documents(corpus, context_length):
    sizes = corpus(np.random.default_rng(0))
    starts = np.cumsum(sizes) - sizes
    packed = bos_aligned(starts, sizes, context_length, 3)
    begins = np.flatnonzero(np.diff(packed.segments[:, 0], prepend=-1))
    firsts = sizes[np.searchsorted(starts, packed.segments[begins, 1] + 1)]
    assert len(firsts) == packed.num_rows >= 100
    assert len(np.unique(packed.segments[:, 1])) == len(packed.segments), "no document is read twice"
    filled = np.bincount(packed.segments[:, 0], weights=packed.segments[:, 2])
    assert filled.tolist() == [context_length] * packed.num_rows
    edges = np.unique(np.quantile(sizes, np.arange(0, 1, 0.1)))
    for low, high in zip(edges, [*edges[1:], np.inf], strict=True):
        share = float(((sizes >= low) & (sizes < high)).mean())
        found = float(((firsts >= low) & (firsts < high)).mean())
        interval = 1.96 * (share * (1 - share) / len(firsts)) ** 0.5
        assert abs(found - share) <= interval, (low, high)
    assert first_skew(packed, starts, sizes) <= 1.5 / packed.num_rows


def test_of_equal_lengths_the_seed_draws_which_begin_rows_and_where_these_stand():
    sizes = np.full(4000, 9)
    starts = np.cumsum(sizes) - sizes
    drawn = []
    for seed in (0, 0, 1):
        packed = bos_aligned(starts, sizes, 16, seed)
        firsts = np.searchsorted(starts, packed.segments[::2, 1] + 1)
        assert firsts.mean() == pytest.approx(2000, abs=4 * 4000 / (12 * len(firsts)) ** 0.5)
        assert abs(np.corrcoef(firsts, np.arange(len(firsts)))[0, 1]) < 4 / len(firsts) ** 0.5
        drawn.append(packed.segments)
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_the_order_in_each_best_fit_row_and_of_the_rows_is_drawn():
    sizes = np.tile([5, 11], 2000)  # every row has one of each
    starts = np.cumsum(sizes) - sizes
    packed = best_fit(starts, sizes, 16, 0)
    assert packed.num_rows == 2000
    shorter = packed.segments[::2, 2] == 5
    assert shorter.mean() == pytest.approx(0.5, abs=4 * 0.5 / 2000**0.5)
    assert abs(np.corrcoef(packed.segments[::2, 1], np.arange(2000))[0, 1]) < 4 / 2000**0.5
    assert np.array_equal(packed.segments, best_fit(starts, sizes, 16, 0).segments)
    assert not np.array_equal(packed.segments, best_fit(starts, sizes, 16, 1).segments)
    assert first_skew(packed, starts, sizes) == pytest.approx(abs(shorter.mean() - 0.5), abs=1e-12)


def test_the_inputs_and_labels_of_rows_are_pinned(tmp_path):
    split, metrics, _ = pack(tmp_path, [2, 6, 1], "best_fit", 5)  # tokens 1 2, 3 to 8 and 9
    samples = split.samples(5)
    assert [[part.tolist() for part in samples.read(i)] for i in range(3)] == [
        [[0, 1, 2, 0, 9], [1, 2, 0, 9, 0]],
        [[7, 8, 0, 0, 0], [8, 0, -100, -100, -100]],
        [[0, 3, 4, 5, 6], [3, 4, 5, 6, 7]],
    ]
    assert metrics == {
        "rows": 3,
        "padding": pytest.approx(3 / 15),
        "cut_documents": 1 / 3,
        "dropped_tokens": 0,
        "first_skew": pytest.approx(1 / 3),
    }


def test_the_rows_of_seed_zero_are_pinned_because_artifacts_depend_on_them():
    sizes = np.array([3, 9, 2, 5, 4, 3, 12, 2])
    starts = np.cumsum(sizes) - sizes
    assert best_fit(starts, sizes, 6, 0).segments.tolist() == [
        [0, 13, 5],
        [1, -1, 3],
        [1, 22, 3],
        [2, 18, 4],
        [2, 37, 2],
        [3, 2, 6],
        [4, 31, 6],
        [5, 25, 6],
        [6, 8, 3],
        [6, 11, 2],
    ]
    assert bos_aligned(starts, sizes, 6, 0).segments.tolist() == [
        [0, 18, 4],
        [0, 25, 2],
        [1, -1, 3],
        [1, 13, 3],
        [2, 2, 6],
        [3, 37, 2],
        [3, 22, 3],
        [3, 11, 1],
    ]


@pytest.mark.parametrize(
    ("pack_rows_of", "pinned"), [(best_fit, "a36ae1e00626f942"), (bos_aligned, "d2840014b8c53b15")]
)
def test_many_rows_of_seed_zero_are_pinned_too(pack_rows_of, pinned):
    sizes = np.arange(600) % 7 + 2  # rows with several documents of one size, in several rows alike
    segments = pack_rows_of(np.cumsum(sizes) - sizes, sizes, 16, 0).segments
    assert hashlib.sha256(segments.astype("<i8").tobytes()).hexdigest()[:16] == pinned


@given(LENGTHS, ROWS, st.sampled_from(["best_fit", "bos_aligned"]))
@settings(max_examples=60, deadline=None)
def test_the_skew_is_the_largest_difference_between_two_shares(lengths, context_length, mode):
    sizes = np.array(lengths) + 1
    starts = np.cumsum(sizes) - sizes
    packed = {"best_fit": best_fit, "bos_aligned": bos_aligned}[mode](starts, sizes, context_length, 1)
    firsts, seen = [], set()
    for row, first, _ in packed.segments.tolist():
        if row not in seen and first + 1 in starts:
            firsts.append(int(sizes[starts.tolist().index(first + 1)]))
        seen.add(row)
    expected = max(
        (
            abs(sum(f <= size for f in firsts) / len(firsts) - float((sizes <= size).mean()))
            for size in sizes.tolist()
            if firsts
        ),
        default=0.0,
    )
    assert first_skew(packed, starts, sizes) == pytest.approx(expected, abs=1e-12)


def test_documents_that_share_rows_with_fewer_others_show_in_the_skew_of_best_fit():
    # two of the longer ones fill a row, three of the others do: they begin a larger share of rows
    sizes = np.repeat([4, 6], [900, 100])
    starts = np.cumsum(sizes) - sizes
    packed = best_fit(starts, sizes, 12, 0)
    assert packed.num_rows == 350
    assert first_skew(packed, starts, sizes) == pytest.approx(50 / 350 - 0.1, abs=1e-12)


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
        ranks = [MicroBatches(samples, order, NextToken(EOS), rank=r, **cut) for r in range(world_size)]
        for step in range(3):
            items = [rank[step] for rank in ranks]
            valid = sum(int((item["labels"] != IGNORED_LABEL).sum()) for item in items)
            assert [item["counts"]["next_token"] for item in items] == [valid] * world_size
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
        ({"seed": 3}, r"seed \(3\) is read by the modes best_fit and bos_aligned alone"),
        ({"mode": "best-fit"}, "did you mean 'best_fit'"),
    ],
)
def test_a_mode_and_its_keys_go_together(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(PackingConfig, values)


def test_the_modes_with_rows_have_an_identity_of_their_own_and_the_stream_keeps_its():
    assert identity(PackingConfig()) == {}
    for mode in ("best_fit", "bos_aligned"):
        assert identity(PackingConfig(mode=mode, context_length=8)) == {
            "mode": mode,
            "context_length": 8,
            "revised": {"rows": 2},
        }
        assert identity(PackingConfig(mode=mode, context_length=8, seed=3))["seed"] == 3


def test_a_row_is_padded_with_the_end_of_text_whatever_its_id():
    class Tokens:
        def read(self, first, length):
            return np.array([1, 2, 7, 3, 7])[first : first + length]

    segments, rows = np.array([[0, -1, 3], [0, 3, 1]]), np.array([[0, 4]])
    samples = RowSamples(Tokens(), segments, rows, context_length=6, eos_token_id=7)
    inputs, labels = samples.read(0)
    assert inputs.tolist() == [7, 1, 2, 7, 3, 7]
    assert labels.tolist() == [1, 2, 7, -100, 7, -100]
