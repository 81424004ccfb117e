"""The cache: what counting the document so far by hand gives, in scores and in steps."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.values.config import identity
from lmexp.errors import ConfigError
from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.ngram.folder import load, save
from lmexp.models.families.ngram.model import NGram
from tests.models.families.ngram.slow import SlowKneserNey, arrays
from tests.models.families.ngram.test_model import BOS, DOCUMENTS, V

TEXTS = st.lists(st.integers(0, V - 1), max_size=12)


def cached_probability(slow, text, token, weights):
    """p(token | text) by counting; `text` is all that is known before it."""
    last = max((i for i, before in enumerate(text) if before == slow.bos), default=None)
    document = text if last is None else text[last:]
    told = document if last is None else document[1:]
    after = [b for a, b in itertools.pairwise(document) if a == document[-1]]
    p, rest = 0.0, 1.0
    for weight, seen in zip(weights, (told, after), strict=False):
        if seen:
            rest -= weight
            p += weight * Counter(seen)[token] / len(seen)
    return p + rest * float(slow.probability(text, token))


@pytest.mark.parametrize("weights", [(0.3,), (0.25, 0.5), (0.0, 0.4)])
@given(DOCUMENTS, st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_scores_are_those_of_counting_the_document_so_far(weights, documents, pairs):
    slow = SlowKneserNey(documents, 3, V, BOS)
    fast = NGram.fit(NGramConfig(order=3, cache=weights), arrays(documents, BOS), V, BOS)
    for (context, continuation), found in zip(pairs, fast.score(pairs, BOS), strict=True):
        text = [*(context or [BOS]), *continuation]
        places = range(len(text) - len(continuation), len(text))
        expected = [math.log(cached_probability(slow, text[:i], text[i], weights)) for i in places]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    documents = [np.array([BOS, *rng.choice([0, 1, 3, 4], 20)]) for _ in range(10)]
    return NGram.fit(NGramConfig(order=3, cache=(0.2, 0.3)), documents, V, BOS)


def test_steps_over_a_text_are_distributions_with_its_scores(model):
    text = [BOS, 1, 3, 1, 3, 3, BOS, 4, 1, 4, 1]
    (scores,) = model.score([(text[:1], text[1:])], BOS)
    for size in (1, 3):
        state = model.begin(1)
        for begin in range(0, len(text) - size, size):
            log_probs = model.step(np.array([text[begin : begin + size]]), np.array([size]), state)
            np.testing.assert_allclose(np.exp(log_probs).sum(), 1, rtol=1e-12)
            expected = scores[begin + size - 1]
            np.testing.assert_allclose(log_probs[0, text[begin + size]], expected, rtol=1e-12)


def test_rows_are_taken_and_joined_with_their_own_documents(model):
    state = model.begin(2)
    model.step(np.array([[BOS, 3, 3, 3], [BOS, 4, 1, 0]]), np.array([4, 2]), state)
    joined = type(state).join([state.take([1, 0, 1]), state])
    after = model.step(np.array([[3], [3], [1], [3], [1]]), np.ones(5, dtype=int), joined)
    texts = [[4, 3], [3, 3, 3, 3], [4, 1], [3, 3, 3, 3], [4, 1]]
    for row, text in zip(after, texts, strict=True):
        (scores,) = zip(*model.score([([BOS, *text], [w]) for w in range(V)], BOS), strict=True)
        np.testing.assert_allclose(row, scores, rtol=1e-12)


def test_one_document_says_nothing_in_another(model):
    text = [1, 1, 1, 1]
    alone, second = model.score([([BOS, 3], text), ([BOS, 4, 4, 4, BOS, 3], text)], BOS)
    np.testing.assert_array_equal(alone, second)


def test_it_is_saved_and_named_and_absent_from_older_fingerprints(model, tmp_path):
    save(model, tmp_path)
    again = load(tmp_path)
    pair = ([], [1, 3, 1, 3])
    np.testing.assert_array_equal(model.score([pair], BOS)[0], again.score([pair], BOS)[0])
    assert model.config.label == "ngram-3-cache"
    assert "cache" not in identity(NGramConfig())
    for bad in ((0.5, 0.5), (0.1, 0.1, 0.1)):
        with pytest.raises(ConfigError, match="cache must be one or two weights that sum"):
            NGramConfig(cache=bad)
