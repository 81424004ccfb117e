"""The n-gram model: what a dictionary of exact fractions says, summing to one, streaming what it scores."""

import math
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.models.families.ngram import NGramConfig, lookups
from lmexp.models.families.ngram.model import NGram
from tests.models.families.ngram.slow import SlowKneserNey, arrays

V, BOS = 5, 2
DOCUMENTS = st.lists(st.lists(st.sampled_from([0, 1, 3, 4]), max_size=12), min_size=1, max_size=8)


def fit(documents, order, vocab_size=V, bos=BOS):
    return NGram.fit(NGramConfig(order=order), arrays(documents, bos), vocab_size, bos)


def right_aligned(contexts, order):
    width = order - 1
    return np.array(
        [([-1] * width + list(context))[len(context) :] for context in contexts], dtype=np.int64
    ).reshape(len(contexts), width)


@pytest.fixture(scope="module")
def english():
    """English prose as paragraphs of word ids; 0 begins and ends each."""
    text = (Path(__file__).parents[4] / "LICENSE").read_text(encoding="utf-8")
    paragraphs = [re.findall(r"\w+|[^\w\s]", part.lower()) for part in text.split("\n\n")]
    words = {word: i for i, word in enumerate(sorted({w for p in paragraphs for w in p}), start=1)}
    documents = [[words[word] for word in paragraph] for paragraph in paragraphs if paragraph]
    return documents, len(words) + 3


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_english_scores_as_exact_fractions_say(english, order):
    documents, vocab_size = english
    counted, held_out = documents[::2], documents[1:40:2]
    slow, fast = SlowKneserNey(counted, order, vocab_size, 0), fit(counted, order, vocab_size, bos=0)
    scores = fast.score([([], [*document, 0]) for document in held_out], 0)
    for document, found in zip(held_out, scores, strict=True):
        text = [0, *document, 0]
        expected = [math.log(slow.probability(text[:i], text[i])) for i in range(1, len(text))]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_a_thousand_distributions_sum_to_one_and_hold_what_log_probs_says(english, order):
    documents, vocab_size = english
    fast = fit(documents, order, vocab_size, bos=0)
    rng = np.random.default_rng(0)
    text = np.concatenate(arrays(documents, 0))
    starts = rng.integers(0, len(text) - order, 1000)
    contexts = text[starts[:, None] + np.arange(order - 1)]  # seen, and over borders
    if order > 1:
        contexts[250:500] = rng.integers(0, vocab_size, (250, order - 1))  # mostly unseen
        contexts[500:750, 0] = 0  # begin a document
        contexts[750:, : order // 2] = -1  # shorter than the order
    log_probs = fast.distribution(contexts)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-12)
    targets = rng.integers(0, vocab_size, 1000)
    np.testing.assert_array_equal(fast.log_probs(contexts, targets), log_probs[np.arange(1000), targets])


def test_a_bigram_and_a_trigram_computed_by_hand():
    """Documents "a b", "a c", "a b", of a vocabulary bos, a, b, c.

    Bigrams: bos a 3, a b 2, b bos 2, a c 1, c bos 1; D = 2 / (2 + 2 x 2) = 1/3. Different tokens before: a 1,
    b 1, c 1, bos 2; D = 3 / (3 + 2) = 3/5, which leaves 3/5 x 4/5, a quarter of it for each: 3/25. So p(b) =
    (1 - 3/5) / 5 + 3/25 = 1/5, and p(b | a) = (2 - 1/3) / 3 + (1/3 x 2/3) x 1/5 = 3/5.

    With trigrams above them, a bigram has the number of tokens before it, which is 1 for all but bos a: n2 is
    0, D is 1, and a leaves all to p(b) = 1/5. The trigrams bos a b 2, a b bos 2, bos a c 1, a c bos 1 have
    D = 1/3, hence p(b | bos a) = (2 - 1/3) / 3 + (1/3 x 2/3) x 1/5 = 3/5 again. Nothing came after b a, and
    p(b | b a) = p(b | a) = 1/5.
    """
    documents = [[1, 2], [1, 3], [1, 2]]
    bigram = fit(documents, 2, vocab_size=4, bos=0)
    np.testing.assert_allclose(np.exp(bigram.distribution(np.array([[-1]]))), [[2 / 5, 1 / 5, 1 / 5, 1 / 5]])
    assert math.exp(bigram.log_probs(np.array([[1]]), np.array([2]))[0]) == pytest.approx(3 / 5, rel=1e-14)
    trigram = fit(documents, 3, vocab_size=4, bos=0)
    found = np.exp(trigram.log_probs(np.array([[0, 1], [2, 1]]), np.array([2, 2])))
    np.testing.assert_allclose(found, [3 / 5, 1 / 5], rtol=1e-14)


def test_what_stands_before_a_bos_is_not_seen(english):
    documents, vocab_size = english
    fast = fit(documents, 4, vocab_size, bos=0)
    contexts = np.array([[5, 6, 0], [-1, -1, 0], [5, 0, 7], [-1, 0, 7], [0, 0, 7]])
    found = fast.distribution(contexts)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    np.testing.assert_array_equal(found[2], found[4])
    packed, alone = fast.score([([5, 6, 0], documents[0]), ([], documents[0])], 0)
    np.testing.assert_array_equal(packed, alone)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 3])
def test_steps_over_a_text_give_its_scores(english, order, size):
    documents, vocab_size = english
    fast = fit(documents[::2], order, vocab_size, bos=0)
    text = [0, *max(documents[1::2], key=len)]
    (scores,) = fast.score([(text[:1], text[1:])], 0)
    state = fast.begin(1)
    for begin in range(0, len(text) - size, size):
        ids = np.array([text[begin : begin + size]])
        log_probs = fast.step(ids, np.array([size]), state)
        assert log_probs[0, text[begin + size]] == scores[begin + size - 1]


def test_a_ragged_step_is_each_rows_own_and_reads_no_padding(english):
    documents, vocab_size = english
    fast = fit(documents, 3, vocab_size, bos=0)
    together, alone = fast.begin(2), [fast.begin(1), fast.begin(1)]
    for ids, lengths in (([[0, 3, 9], [0, -100, 10**9]], [3, 1]), ([[4, 4], [8, 1]], [0, 2])):
        found = fast.step(np.array(ids), np.array(lengths), together)
        for row, (own, n) in enumerate(zip(ids, lengths, strict=True)):
            expected = fast.step(np.array([own[:n]], dtype=int).reshape(1, n), np.array([n]), alone[row])
            np.testing.assert_array_equal(found[row], expected[0])


def test_rows_are_taken_repeated_and_joined_and_go_their_own_ways(english):
    documents, vocab_size = english
    fast = fit(documents, 3, vocab_size, bos=0)
    state = fast.begin(2)
    fast.step(np.array([[0, 3], [0, 9]]), np.array([2, 2]), state)
    taken, before = state.take([1, 0, 1]), state.tokens.copy()
    joined = type(state).join([state, taken])
    after = fast.step(np.array([[1], [2], [3], [4], [5]]), np.ones(5, dtype=int), joined)
    expected = fast.distribution(np.array([[3, 1], [9, 2], [9, 3], [3, 4], [9, 5]]))
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(state.tokens, before)
    np.testing.assert_array_equal(taken.tokens, before[[1, 0, 1]])


def test_scoring_in_pieces_of_a_few_tokens_changes_no_bit(english, monkeypatch):
    documents, vocab_size = english
    fast = fit(documents, 4, vocab_size, bos=0)
    pairs = [(document[:3], document[3:]) for document in documents] + [([], []), (documents[0], [])]
    whole = fast.score(pairs, 0)
    monkeypatch.setattr(lookups, "SCORED_AT_ONCE", 7)
    for one, other, pair in zip(whole, fast.score(pairs, 0), pairs, strict=True):
        assert len(one) == len(pair[1])
        np.testing.assert_array_equal(one, other)
    assert fast.score([], 0) == []


@given(DOCUMENTS, st.lists(st.tuples(*[st.lists(st.integers(0, V - 1), max_size=5)] * 2), max_size=6))
@settings(max_examples=60, deadline=None)
def test_pairs_scored_together_see_nothing_of_each_other(documents, pairs):
    slow, fast = SlowKneserNey(documents, 4, V, BOS), fit(documents, 4)
    for (context, continuation), found in zip(pairs, fast.score(pairs, BOS), strict=True):
        text = [*(context or [BOS]), *continuation]
        places = range(len(text) - len(continuation), len(text))
        expected = [math.log(slow.probability(text[:i], text[i])) for i in places]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_nothing_in_the_midst_of_a_context_hides_what_stands_before_it():
    """The key of (2, -1) would be that of (1, V - 1), which is known."""
    fast = fit([[1, 4, 3, 1, 4, 3]], 3)
    hidden, absent = fast.distribution(np.array([[2, -1], [-1, -1]]))
    np.testing.assert_array_equal(hidden, absent)


def test_a_token_that_was_never_counted_has_a_finite_probability(english):
    documents, vocab_size = english
    fast = fit(documents, 3, vocab_size, bos=0)
    unseen = vocab_size - 1
    assert np.isfinite(fast.distribution(np.array([[unseen, unseen], [0, unseen]]))).all()
    assert np.isfinite(fast.score([([unseen], [unseen, unseen])], 0)[0]).all()


def test_a_document_without_tokens_is_a_text_that_ends_at_once():
    fast = fit([[], []], 3)
    assert int(np.argmax(fast.distribution(np.array([[-1, BOS]]))[0])) == BOS


def test_a_million_tokens_are_counted_and_scored_in_a_few_seconds():
    tokens = (np.random.default_rng(0).pareto(1.2, 1_000_000) * 8).astype(np.int64) % 4096
    tokens[0] = 0
    begin = time.process_time()
    fast = NGram.fit(NGramConfig(order=4), [tokens.astype(np.uint16)], 4096, 0)
    assert np.isfinite(fast.score([(tokens[:1], tokens[1:])], 0)[0]).all()
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.log_probs(np.array([[V, 1]]), np.array([0])), r"lie in \[-1, 5\)"),
        (lambda m: m.log_probs(np.array([[1, 1]]), np.array([-1])), r"lie in \[0, 5\)"),
        (lambda m: m.score([([1], [V])], BOS), r"lie in \[0, 5\)"),
        (lambda m: m.step(np.array([[-1]]), np.array([1]), m.begin(1)), r"lie in \[0, 5\)"),
        (
            lambda m: m.step(np.array([[1]]), np.array([0]), m.begin(1)),
            "Row 0 is asked .* before it read",
        ),
        (lambda m: m.step(np.array([[1]]), np.array([2]), m.begin(1)), r"lie in \[0, 1\].* 2 to 2"),
        (lambda m: m.step(np.array([[1]]), np.array([1]), m.begin(2)), "of the 2 rows of its state"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(ask, message):
    with pytest.raises(DataError, match=message):
        ask(fit([[1, 3]], 3))


def test_a_config_names_its_order_and_states_its_size():
    assert (NGramConfig().label, NGramConfig().size) == ("ngram-3", "n-grams of up to 3 tokens")
    assert NGramConfig(order=1).size == "n-grams of up to 1 token"
