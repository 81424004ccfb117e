"""Sums over segmentations equal those over all of them, written out; EM never makes the texts less likely."""

import math
from collections import Counter
from fractions import Fraction
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.tokenizer.traces.unigram import best_segmentation, em, probability, segmentations

TEXTBOOK = {"ab": Fraction(2, 3), "c": Fraction(1, 3)}


def test_the_textbooks_example_has_the_probability_4_27():
    (only,) = segmentations("ababc", TEXTBOOK)
    assert only.pieces == ("ab", "ab", "c")
    assert only.prob == probability("ababc", TEXTBOOK) == Fraction(4, 27)
    assert best_segmentation("ababc", TEXTBOOK) == only


def every_way(text, pieces):
    """Return all segmentations with their probabilities, by cutting at every set of places."""
    found = {}
    for cuts in range(2 ** (len(text) - 1)):
        places = [0, *(i for i in range(1, len(text)) if cuts >> (i - 1) & 1), len(text)]
        way = tuple(text[a:b] for a, b in pairwise(places))
        prob = math.prod(pieces.get(piece, Fraction(0)) for piece in way)
        if prob:
            found[way] = prob
    return found


pieces_of = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1, max_size=8
).map(
    lambda found: {
        piece: Fraction(n, sum(found.values()) + 3) for piece, n in ({"a": 1, "b": 1, "c": 1} | found).items()
    }
)


@given(st.text("abc", min_size=1, max_size=8), pieces_of)
def test_all_ways_their_sum_and_the_best_one_are_those_of_cutting_everywhere(text, pieces):
    expected = every_way(text, pieces)
    found = segmentations(text, pieces)
    assert {way.pieces: way.prob for way in found} == expected
    assert len(found) == len(expected)
    assert [way.prob for way in found] == sorted(expected.values(), reverse=True)
    assert segmentations(text, pieces, 3) == found[:3]
    assert probability(text, pieces) == sum(expected.values())
    best = best_segmentation(text, pieces)
    assert best.prob == max(expected.values()) == expected[best.pieces]


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=3), pieces_of)
def test_em_counts_as_all_segmentations_do_and_never_makes_the_texts_less_likely(texts, pieces):
    expected = Counter()
    for text in texts:
        ways = every_way(text, pieces)
        for way, prob in ways.items():
            for piece in way:
                expected[piece] += prob / sum(ways.values())
    steps = list(islice(em(texts, pieces), 5))
    total = sum(expected.values())
    for piece in pieces:
        assert math.isclose(steps[0].expected[piece], expected[piece], abs_tol=1e-12)
        assert math.isclose(steps[0].probs[piece], expected[piece] / total, abs_tol=1e-12)
    likelihood = math.log(math.prod(sum(every_way(text, pieces).values()) for text in texts))
    assert math.isclose(steps[0].log_likelihood, likelihood, abs_tol=1e-9)
    for before, after in pairwise(steps[1:]):
        assert after.log_likelihood >= before.log_likelihood - 1e-9


def test_a_text_that_the_pieces_cannot_spell_is_named():
    assert probability("abd", TEXTBOOK) == 0
    for ask in (lambda: best_segmentation("abd", TEXTBOOK), lambda: next(em(["ab", "abd"], TEXTBOOK))):
        with pytest.raises(DataError, match=r"'abd' cannot be split into the pieces"):
            ask()


def test_a_long_text_has_its_likeliest_ways_and_no_likelihood_in_floating_point():
    pieces = {"a": Fraction(1, 2), "aa": Fraction(1, 4), "b": Fraction(1, 4)}
    text = "a" * 2000
    found = segmentations(text, pieces, 3)
    assert {way.prob for way in found} == {Fraction(1, 2) ** 2000}, "aa costs what a a does"
    assert len({way.pieces for way in found}) == 3
    assert {"".join(way.pieces) for way in found} == {text}
    with pytest.raises(DataError, match=r"the probability of 'b{80}' is below any float's; cut it"):
        next(em(["b" * 2000], pieces))
