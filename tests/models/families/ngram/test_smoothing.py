"""Each kind of smoothing: what exact fractions give, summing to one where it is a distribution."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.values.config import identity
from lmexp.errors import ConfigError
from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.ngram.counts import count
from lmexp.models.families.ngram.deleted import deleted_interpolation
from lmexp.models.families.ngram.discounts import FIXED, one_discount, three_discounts
from lmexp.models.families.ngram.model import NGram
from tests.models.families.ngram import slow
from tests.models.families.ngram.slow import arrays
from tests.models.families.ngram.test_model import BOS, DOCUMENTS, V, english, right_aligned

__all__ = ["english"]

SLOW = {
    "kneser_ney": slow.SlowKneserNey,
    "modified_kneser_ney": slow.SlowModifiedKneserNey,
    "absolute_discounting": slow.SlowAbsoluteDiscounting,
    "jelinek_mercer": slow.SlowJelinekMercer,
    "add_k": slow.SlowAddK,
    "maximum_likelihood": slow.SlowMaximumLikelihood,
    "stupid_backoff": slow.SlowStupidBackoff,
}


def both(kind, documents, order, vocab_size=V, bos=BOS, **settings):
    fast = NGram.fit(
        NGramConfig(order=order, smoothing=kind, **settings), arrays(documents, bos), vocab_size, bos
    )
    oracle = SLOW[kind](documents, order, vocab_size, bos)
    oracle.weights = fast.interpolation_weights
    return fast, oracle


@pytest.mark.parametrize("kind", SLOW)
@given(DOCUMENTS, st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_probabilities_are_those_of_exact_fractions_after_every_short_context(kind, documents, order):
    fast, oracle = both(kind, documents, order)
    contexts = [c for n in range(min(order, 3)) for c in itertools.product(range(V), repeat=n)]
    found = np.exp(fast.distribution(right_aligned(contexts, order)))
    expected = [[float(oracle.probability(context, w)) for w in range(V)] for context in contexts]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("kind", SLOW)
def test_english_scores_as_exact_fractions_say(kind, english):
    documents, vocab_size = english
    counted, held_out = documents[::2], documents[1:12:2]
    fast, oracle = both(kind, counted, 4, vocab_size, bos=0)
    pairs = [([], [*document, 0]) for document in held_out]
    pairs.append(([3, 4], [5, 0, *held_out[0]]))  # a context over a border, and one that begins nothing
    for (context, continuation), found in zip(pairs, fast.score(pairs, 0), strict=True):
        text = [*(context or [0]), *continuation]
        first = len(text) - len(continuation)
        expected = [float(oracle.probability(text[:i], text[i])) for i in range(first, len(text))]
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12, atol=1e-300)
        np.testing.assert_array_equal(np.isneginf(found), np.array(expected) == 0)


@pytest.mark.parametrize("kind", [k for k in SLOW if k not in ("maximum_likelihood", "stupid_backoff")])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_thousand_distributions_sum_to_one_and_hold_what_log_probs_says(kind, order, english):
    documents, vocab_size = english
    fast, _ = both(kind, documents, order, vocab_size, bos=0)
    rng = np.random.default_rng(0)
    text = np.concatenate(arrays(documents, 0))
    contexts = text[rng.integers(0, len(text) - order, 1000)[:, None] + np.arange(order - 1)]
    if order > 1:
        contexts[500:] = rng.integers(0, vocab_size, (500, order - 1))
    log_probs = fast.distribution(contexts)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-12)
    assert np.isfinite(log_probs).all()
    targets = rng.integers(0, vocab_size, 1000)
    np.testing.assert_array_equal(fast.log_probs(contexts, targets), log_probs[np.arange(1000), targets])


def test_maximum_likelihood_sums_to_one_after_what_was_seen_and_to_nothing_after_what_was_not(english):
    documents, vocab_size = english
    fast, oracle = both("maximum_likelihood", documents, 3, vocab_size, bos=0)
    seen = [context for context in oracle.followers if len(context) == 2][:200]
    np.testing.assert_allclose(np.exp(fast.distribution(np.array(seen))).sum(axis=1), 1, rtol=1e-12)
    unseen = vocab_size - 1
    assert np.isneginf(fast.distribution(np.array([[unseen, unseen]]))).all()


def test_stupid_backoff_sums_to_more_than_one_and_says_that_it_is_no_distribution(english):
    documents, vocab_size = english
    fast, _ = both("stupid_backoff", documents, 3, vocab_size, bos=0)
    sums = np.exp(fast.distribution(np.array([[0, documents[0][0]], [1, 2]]))).sum(axis=1)
    assert (np.abs(sums - 1) > 0.05).any()
    assert not fast.is_normalized
    assert [NGramConfig(smoothing=kind).is_normalized for kind in SLOW] == [True] * 6 + [False]


def test_settings_of_a_kind_are_what_its_formula_reads():
    documents = [[1, 3, 4, 1, 3], [4, 4, 1]]
    fast, oracle = both("add_k", documents, 3, k=0.25)
    oracle.k = Fraction(1, 4)
    check_one(fast, oracle)
    fast, oracle = both("stupid_backoff", documents, 3, backoff=0.5)
    oracle.factor = Fraction(1, 2)
    check_one(fast, oracle)
    fast, oracle = both("absolute_discounting", documents, 3, discount=0.125)
    oracle.discount = lambda *_: Fraction(1, 8)
    check_one(fast, oracle)
    fast, oracle = both("jelinek_mercer", documents, 3, interpolation_weights=(0.5, 0.25, 1.0))
    check_one(fast, oracle)
    assert fast.facts["interpolation_weight_2"] == 0.25


def check_one(fast, oracle):
    contexts = list(itertools.product(range(V), repeat=2))
    expected = [[float(oracle.probability(context, w)) for w in range(V)] for context in contexts]
    np.testing.assert_allclose(np.exp(fast.distribution(np.array(contexts))), expected, rtol=1e-12)


def test_a_setting_that_another_kind_reads_is_refused_and_none_changes_a_fingerprint():
    assert identity(NGramConfig()) == {"order": 3, "smoothing": "kneser_ney"}
    assert NGramConfig(smoothing="add_k", k=1).label == "ngram-3-add_k"
    with pytest.raises(ConfigError, match="k is read by smoothing=add_k alone, and smoothing is kneser_ney"):
        NGramConfig(k=0.1)
    with pytest.raises(ConfigError, match="has 2 numbers, and needs one for each order from 1 to 3"):
        NGramConfig(smoothing="jelinek_mercer", interpolation_weights=(0.1, 0.2))


@given(st.lists(st.integers(0, 6), max_size=60))
def test_three_discounts_are_chen_and_goodmans_or_the_fixed_ones(counts):
    found = three_discounts(np.array(counts, dtype=np.int64))
    n = Counter(counts)
    expected = None
    if n[1] and n[2] and n[3]:
        y = Fraction(n[1], n[1] + 2 * n[2])
        expected = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
    if expected is None or min(expected) <= 0:
        assert (found.values, found.is_fixed) == (FIXED, True)
    else:
        assert found.values == pytest.approx([float(d) for d in expected], rel=1e-12)
        assert not found.is_fixed


def test_fixed_discounts_are_counted_in_the_facts():
    fast, _ = both("modified_kneser_ney", [[1, 3, 4]], 2)
    assert fast.facts["fixed_discounts"] == 2
    assert [fast.facts[f"discount_2_{i}"] for i in (1, 2, 3)] == list(FIXED)
    assert one_discount(np.array([2, 2])).is_fixed
    assert not one_discount(np.array([1, 2])).is_fixed


def left_out(oracle, documents, bos):
    """Of each predicted token, the share of each order once it is taken out; None where nothing is left."""
    for document in documents:
        text = [bos, *document, bos]
        for i in range(1, len(text)):
            shares = []
            for n in range(1, min(oracle.order, i + 1) + 1):
                context = tuple(text[i - n + 1 : i])
                total = sum(oracle.followers[context].values())
                own = oracle.followers[context][text[i]]
                shares.append(Fraction(own - 1, total - 1) if total > 1 else None)
            yield shares


def log_likelihood(weights, tokens, vocab_size):
    total = 0.0
    for shares in tokens:
        p = 1 / vocab_size
        for share, weight in zip(shares, weights, strict=False):
            if share is not None:
                p = weight * float(share) + (1 - weight) * p
        total += math.log(p) if p else -math.inf
    return total


@pytest.mark.parametrize("order", [1, 2, 3])
def test_fitted_weights_are_the_best_for_tokens_that_are_left_out(order, english):
    documents, vocab_size = english
    documents = documents[:30]
    found = deleted_interpolation(
        count(arrays(documents, 0), order=order, vocab_size=vocab_size, bos_token_id=0), 0
    )
    tokens = list(left_out(slow.SlowNGram(documents, order, vocab_size, 0), documents, 0))
    best = log_likelihood(found, tokens, vocab_size)
    assert all(0 < weight < 1 for weight in found)
    for n in range(order):
        for step in (-0.01, 0.01):
            other = [*found[:n], found[n] + step, *found[n + 1 :]]
            assert log_likelihood(other, tokens, vocab_size) < best


def test_weights_of_a_text_where_nothing_comes_twice_are_nothing():
    counts = count([np.array([BOS, 1, 3, 4])], order=3, vocab_size=V, bos_token_id=BOS)
    assert deleted_interpolation(counts, BOS)[1:] == (0.0, 0.0)
