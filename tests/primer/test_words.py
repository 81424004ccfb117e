"""Words and numbers of the primer: the parts do not overlap, and order decides nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.primer import words

NUMBERS = st.integers(0, words.MAX_NUMBER)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=3, unique=True), st.randoms())
def test_numbers_are_of_one_part_in_whatever_order(numbers, rng):
    shuffled = list(numbers)
    rng.shuffle(shuffled)
    assert words.part_of_numbers(tuple(numbers)) == words.part_of_numbers(tuple(shuffled))


@settings(deadline=None)
@given(st.sampled_from(words.PARTS), st.data())
def test_a_word_and_its_syllables_swapped_are_of_one_part(part, data):
    word = data.draw(st.sampled_from(words.made_up_words(part)))
    assert words.part_of_word(word[2:] + word[:2]) == part


@pytest.mark.parametrize("pools", [words.made_up_words, lambda part: words.number_tuples(2, part)])
def test_the_parts_share_nothing_and_have_about_their_shares(pools):
    sizes = {part: len(set(pools(part))) for part in words.PARTS}
    everything = {one for part in words.PARTS for one in pools(part)}
    assert len(everything) == sum(sizes.values())
    for part, share in (("train", 0.75), ("test", words.TEST_SHARE), ("shots", words.SHOTS_SHARE)):
        assert sizes[part] / len(everything) == pytest.approx(share, abs=0.03)


def test_every_ordered_pair_of_different_operands_is_of_some_part():
    pairs = {pair for part in words.PARTS for pair in words.number_tuples(2, part)}
    assert pairs == {(a, b) for a in range(20) for b in range(20) if a != b}


def test_made_up_words_are_two_different_syllables_and_no_word_of_the_lists():
    for part in words.PARTS:
        for word in words.made_up_words(part):
            assert len(word) == 4
            assert {word[0], word[2]} <= set("bdfgklmnprst")
            assert {word[1], word[3]} <= set("aeiou")
            assert word[:2] != word[2:]
    everything = {word for part in words.PARTS for word in words.made_up_words(part)}
    assert not everything & {"kite", "like"}
