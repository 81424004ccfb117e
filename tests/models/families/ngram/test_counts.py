"""Counting: what a dictionary counts, in chunks of any size, from documents in any number of arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.models.families.ngram import counts, runs
from lmexp.models.families.ngram.adjusted import adjusted
from lmexp.models.families.ngram.counts import MOST_IDS, count
from tests.models.families.ngram.slow import SlowKneserNey, arrays

V, BOS = 5, 2
DOCUMENTS = st.lists(st.lists(st.sampled_from([0, 1, 3, 4]), max_size=12), min_size=1, max_size=8)


def as_dictionary(keys, numbers, tokens, vocab_size=V):
    """The n-grams of arrays as tuples of ids."""
    result = {(token,): n for token, n in enumerate(tokens.tolist()) if n}
    below = [(token,) for token in range(vocab_size)]
    for level, some in zip(keys, numbers, strict=True):
        grams = [(*below[key // vocab_size], key % vocab_size) for key in level.tolist()]
        result |= dict(zip(grams, some.tolist(), strict=True))
        below = grams
    return result


def counted(documents, order, **settings):
    found = count(documents, order=order, vocab_size=V, bos_token_id=BOS, **settings)
    return as_dictionary([x.keys for x in found.levels], [x.counts for x in found.levels], found.tokens)


@given(DOCUMENTS, st.integers(1, 5), st.integers(1, 9))
def test_counts_are_a_dictionarys_at_any_size_of_chunks(documents, order, chunk_tokens):
    expected = SlowKneserNey(documents, order, V, BOS).raw
    assert counted(arrays(documents, BOS), order, chunk_tokens=chunk_tokens) == expected


@given(DOCUMENTS, st.integers(1, 5), st.integers(1, 9))
def test_adjusted_counts_are_continuations_but_at_the_top_and_after_bos(documents, order, chunk_tokens):
    found = adjusted(
        count(arrays(documents, BOS), order=order, vocab_size=V, bos_token_id=BOS, chunk_tokens=chunk_tokens)
    )
    expected = SlowKneserNey(documents, order, V, BOS).counts
    assert as_dictionary(found.keys, found.counts, found.tokens) == expected


@given(DOCUMENTS, st.integers(1, 4))
def test_documents_in_one_array_or_each_in_its_own_are_the_same(documents, order):
    apart = arrays(documents, BOS)
    together = [np.concatenate(apart).astype(np.uint16)]
    assert counted(together, order) == counted((part for part in apart), order)


def test_suffixes_are_the_n_grams_without_their_first_token():
    documents = [np.array([BOS, *np.random.default_rng(0).integers(3, 5, 40)])]
    found = count(documents, order=4, vocab_size=V, bos_token_id=BOS, chunk_tokens=7).levels
    below = [(token,) for token in range(V)]
    for level in found:
        grams = [(*below[key // V], key % V) for key in level.keys.tolist()]
        assert [gram[1:] for gram in grams] == [
            (below if len(gram) > 2 else [(i,) for i in range(V)])[suffix]
            for gram, suffix in zip(grams, level.suffixes.tolist(), strict=True)
        ]
        below = grams


def test_many_chunks_are_joined_in_tiers_to_the_same_levels(monkeypatch):
    rng = np.random.default_rng(1)
    ids = np.where(rng.random(3000) < 0.1, BOS, rng.integers(0, V, 3000))
    ids[0] = BOS
    one = count([ids], order=4, vocab_size=V, bos_token_id=BOS)
    monkeypatch.setattr(counts, "_FAN_IN", 2)
    many = count([ids], order=4, vocab_size=V, bos_token_id=BOS, chunk_tokens=11)
    np.testing.assert_array_equal(one.tokens, many.tokens)
    for a, b in zip(one.levels, many.levels, strict=True):
        for name in ("keys", "counts", "suffixes"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def equal(one, other):
    np.testing.assert_array_equal(one.tokens, other.tokens)
    for a, b in zip(one.levels, other.levels, strict=True):
        for name in ("keys", "counts", "suffixes"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("most_chunks", [1, 4, 300])
@pytest.mark.parametrize(("block", "most_held"), [(2, 10**6), (2**16, 90)])
def test_a_text_past_memory_is_sorted_on_disk_to_the_same_levels(
    monkeypatch, tmp_path, most_chunks, block, most_held
):
    monkeypatch.setattr(runs, "BLOCK", block)
    monkeypatch.setattr(runs, "MOST_HELD", most_held)
    rng = np.random.default_rng(1)
    ids = np.where(rng.random(300) < 0.1, BOS, rng.integers(0, V, 300))
    ids[0] = BOS
    settings = {"order": 4, "vocab_size": V, "bos_token_id": BOS}
    found = count([ids], **settings, chunk_tokens=40, folder=tmp_path, most_chunks=most_chunks)
    assert any(tmp_path.iterdir()) == (most_chunks < 8)  # of 300 tokens and an end
    equal(found, count([ids], **settings))


def test_orders_that_no_chunk_holds_are_sorted_on_disk_too(tmp_path):
    documents = [np.array([BOS, 1])] * 9
    settings = {"order": 5, "vocab_size": V, "bos_token_id": BOS}
    found = count(documents, **settings, chunk_tokens=2, folder=tmp_path, most_chunks=1)
    equal(found, count(documents, **settings))


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "at least one document"),
        ([np.array([BOS, 1]), np.array([1, BOS])], r"must begin with the token 2.*begins with 1\."),
        ([np.array([], dtype=int)], "has no token"),
        ([np.array([BOS, V])], r"lie in \[0, 5\), were 2 to 5"),
        ([np.array([BOS, -1])], r"lie in \[0, 5\), were -1 to 2"),
    ],
)
def test_what_cannot_be_counted_is_a_sentence(documents, message):
    with pytest.raises(DataError, match=message):
        count(documents, order=2, vocab_size=V, bos_token_id=BOS)


def test_a_vocabulary_past_the_limit_and_a_bos_outside_it_are_sentences():
    with pytest.raises(DataError, match=r"at most 2,097,152 ids"):
        count([np.array([0])], order=1, vocab_size=MOST_IDS + 1, bos_token_id=0)
    with pytest.raises(DataError, match=r"lie in \[0, 5\)"):
        count([np.array([5])], order=1, vocab_size=5, bos_token_id=5)


def test_the_largest_ids_of_the_largest_vocabulary_are_counted():
    top = MOST_IDS - 1
    found = count([np.array([top, top - 1, top - 2])], order=3, vocab_size=MOST_IDS, bos_token_id=top)
    grams = as_dictionary(
        [x.keys for x in found.levels], [x.counts for x in found.levels], found.tokens, MOST_IDS
    )
    assert set(grams) == {
        (top - 1,),
        (top - 2,),
        (top,),
        (top, top - 1),
        (top - 1, top - 2),
        (top - 2, top),
        (top, top - 1, top - 2),
        (top - 1, top - 2, top),
    }
