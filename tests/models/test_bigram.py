"""The bigram: equal to a slow dictionary implementation, and a probability distribution."""

import itertools
import math
import time
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.models.bigram import Bigram

TOKENS = st.lists(st.integers(0, 6), min_size=2, max_size=60)
VOCAB_SIZE = 8


def discount(counts):
    once, twice = sum(c == 1 for c in counts), sum(c == 2 for c in counts)
    return once / (once + 2 * twice) if once else 0.5


def slow_probability(tokens, vocab_size, v, w):
    bigrams = Counter(itertools.pairwise(tokens))
    followers, preceders = defaultdict(set), defaultdict(set)
    for first, second in bigrams:
        followers[first].add(second)
        preceders[second].add(first)
    different = len(bigrams)
    d1 = discount([len(s) for s in preceders.values()])
    lower = max(len(preceders[w]) - d1, 0) / different if w in preceders else 0.0
    lower += d1 * sum(1 for s in preceders.values() if s) / different / vocab_size
    if v not in followers:
        return lower
    d = discount(list(bigrams.values()))
    total = sum(n for (first, _), n in bigrams.items() if first == v)
    return max(bigrams[v, w] - d, 0) / total + d * len(followers[v]) / total * lower


@given(TOKENS)
def test_probabilities_are_those_of_a_slow_implementation_and_sum_to_one(tokens):
    bigram = Bigram.fit(np.array(tokens), VOCAB_SIZE)
    previous, following = (a.ravel() for a in np.divmod(np.arange(VOCAB_SIZE**2), VOCAB_SIZE))
    log_probs = bigram.log_probs(previous, following)
    expected = [
        math.log(slow_probability(tokens, VOCAB_SIZE, int(v), int(w)))
        for v, w in zip(previous, following, strict=True)
    ]
    np.testing.assert_allclose(log_probs, expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_probs).reshape(VOCAB_SIZE, -1).sum(axis=1), 1, rtol=1e-12)


def test_three_million_tokens_are_counted_in_a_few_seconds():
    tokens = (np.random.default_rng(0).pareto(1.2, 3_000_000) * 8).astype(np.int64) % 4096
    begin = time.process_time()
    bigram = Bigram.fit(tokens.astype(np.uint16), 4096)
    assert np.isfinite(bigram.log_probs(tokens[:-1], tokens[1:])).all()
    assert time.process_time() - begin < 8


def test_ids_outside_the_vocabulary_and_too_few_tokens_are_sentences():
    with pytest.raises(DataError, match="at least 2 tokens"):
        Bigram.fit(np.array([1]), 4)
    with pytest.raises(DataError, match=r"lie in \[0, 4\)"):
        Bigram.fit(np.array([1, 4]), 4)
    with pytest.raises(DataError, match=r"lie in \[0, 4\)"):
        Bigram.fit(np.array([1, 2]), 4).log_probs(np.array([-1]), np.array([0]))
