"""Filters against measures computed by hand and by a slow, obvious implementation."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.graph.compose import compose
from lmexp.corpus.filter_config import NO_FILTERS, FilterConfig
from lmexp.corpus.filters import Filters, ngram_shares
from lmexp.errors import ConfigError


def reason(text, **options):
    return Filters(FilterConfig(**options)).reason(text, len(text.encode()))


def on_the_edge(text, key, value, *, worse):
    """The filter keeps exactly its threshold and drops what is just beyond it."""
    assert reason(text, **{key: value}) is None
    assert reason(text, **{key: worse}) == key


def test_without_a_filter_everything_is_kept():
    assert reason("x") is None
    assert Filters(NO_FILTERS).reason("### ...", 7) is None


def test_sizes_are_bytes_words_and_the_mean_length_of_words():
    text = "one four éééé\n seven77"  # 3 + 4 + 4 + 7 characters in 4 words
    on_the_edge(text, "min_bytes", 26, worse=27)
    on_the_edge(text, "max_bytes", 26, worse=25)
    on_the_edge(text, "min_words", 4, worse=5)
    on_the_edge(text, "max_words", 4, worse=3)
    on_the_edge(text, "min_mean_word_length", 4.5, worse=4.51)
    on_the_edge(text, "max_mean_word_length", 4.5, worse=4.49)


def test_symbols_are_hash_signs_and_ellipses_a_word():
    on_the_edge("#a ## b c d", "max_symbol_ratio", 0.6, worse=0.59)  # 3 hash signs, 5 words
    on_the_edge("a ... b… c d", "max_symbol_ratio", 0.4, worse=0.39)  # 2 ellipses, 5 words


def test_lines_begin_with_bullets_and_end_with_ellipses():
    text = "- one\n\n  * two\nthree ...\n• four…\nfive"  # 5 lines that are not blank
    on_the_edge(text, "max_bullet_lines", 0.6, worse=0.59)
    on_the_edge(text, "max_ellipsis_lines", 0.4, worse=0.39)


def test_words_have_letters_and_some_are_stop_words():
    text = "The 1st of 22 be-ta ..."  # 4 of 6 words have a letter; the, of
    on_the_edge(text, "min_alphabetic_words", 0.66, worse=0.67)
    on_the_edge(text, "min_stop_words", 2, worse=3)


def test_lines_and_paragraphs_repeat_earlier_ones():
    lines = "aa\nbbbb\naa \n\naa\ncc"  # 5 lines, 2 repeated; 4 of 12 characters
    on_the_edge(lines, "max_duplicate_lines", 0.4, worse=0.39)
    on_the_edge(lines, "max_duplicate_line_characters", 0.34, worse=0.33)
    paragraphs = "aa\nb\n\nccc\n \naa\nb\n\n\nccc"  # 4 paragraphs, 2 repeated; 7 of 14 characters
    on_the_edge(paragraphs, "max_duplicate_paragraphs", 0.5, worse=0.49)
    on_the_edge(paragraphs, "max_duplicate_paragraph_characters", 0.5, worse=0.49)


def test_a_share_that_is_exactly_the_threshold_is_kept():
    lines = "\n".join([*"abcdefg", "a", "b", "c"])  # 3 of 10 repeat
    on_the_edge(lines, "max_duplicate_lines", 0.3, worse=0.29)
    on_the_edge(lines, "max_duplicate_line_characters", 0.3, worse=0.29)
    on_the_edge("a b c d 5", "min_alphabetic_words", 0.8, worse=0.81)


def test_the_most_frequent_ngrams_and_repeated_ones_by_hand():
    words = ["a", "bb", "a", "bb", "ccc", "a", "bb"]  # 12 characters; (a bb) three times covers 9 of them
    shares = {n: (top, repeated) for n, top, repeated in ngram_shares(words, 10)}
    assert shares == {2: (9 / 12, 6 / 12)}  # no 3-gram occurs twice
    long = ["one", "two", "three", "four", "five", "six"]
    shares = {n: repeated for n, _, repeated in ngram_shares([*long, "x", *long], 10)}
    assert shares == {n: pytest.approx(22 / 45) for n in (2, 3, 4, 5, 6)}
    text = " ".join([*long, "x", *long])
    assert reason(text, max_repeated_ngrams=[0.48, 1, 1, 1, 1, 1]) == "max_repeated_ngrams/5"
    assert reason(text, max_repeated_ngrams=[0.49, 0.48, 1, 1, 1, 1]) == "max_repeated_ngrams/6"
    assert reason(text, max_repeated_ngrams=[0.49] * 6) is None
    assert reason("a b " * 9, max_top_ngrams=[0.99, 1, 1]) == "max_top_ngrams/2"


def slow_shares(words, n):
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    total = sum(map(len, words))

    def covered(starts):
        return sum(len(words[i]) for i in {i + k for i in starts for k in range(n)}) / total

    most = max(map(grams.count, grams), default=0)
    if most < 2:
        return set(), 0.0
    longest = max((g for g in grams if grams.count(g) == most), key=lambda g: sum(map(len, g)))
    size = sum(map(len, longest))
    tied = [g for g in grams if grams.count(g) == most and sum(map(len, g)) == size]
    tops = {covered([i for i, other in enumerate(grams) if other == g]) for g in tied}
    return tops, covered([i for i, g in enumerate(grams) if g in grams[:i]])


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]), min_size=1, max_size=40))
def test_shares_of_ngrams_agree_with_the_obvious_implementation(words):
    found = {n: (top, repeated) for n, top, repeated in ngram_shares(words, 10)}
    for n in range(2, 11):
        tops, repeated = slow_shares(words, n)
        if not tops:
            assert n not in found
        else:
            assert any(found[n][0] == pytest.approx(top) for top in tops)
            assert found[n][1] == pytest.approx(repeated)


def test_the_first_filter_that_fails_is_the_reason():
    assert reason("# # #", min_words=5, max_symbol_ratio=0.1) == "min_words"
    assert reason("# # # # #", min_words=5, max_symbol_ratio=0.1) == "max_symbol_ratio"


def test_the_preset_of_gopher_sets_every_filter_but_those_of_bytes():
    filters = compose(["+experiment=tiny", "+corpus/filters=gopher"]).config.corpus.filters
    unset = [f.name for f in dataclasses.fields(filters) if getattr(filters, f.name) in (None, ())]
    assert unset == ["min_bytes", "max_bytes"]
    prose = (
        "It was the best of times and it was the worst of times that we have had, with wisdom in the air "
        "and foolishness on the ground; some went to the left, others to the right, while nobody could say "
        "which of these roads would be shorter, kinder, or more honest than what their parents chose."
    )
    assert Filters(filters).reason(prose, len(prose)) is None
    assert Filters(filters).reason("buy now " * 60, 480) is not None


def test_lists_of_thresholds_have_their_length_and_bounds_their_order():
    with pytest.raises(ConfigError, match="max_top_ngrams must have 3 numbers or none, has 2"):
        FilterConfig(max_top_ngrams=[0.1, 0.2])
    with pytest.raises(ConfigError, match=r"min_words \(9\) must be at most max_words \(3\)"):
        FilterConfig(min_words=9, max_words=3)


@pytest.mark.parametrize("n", range(5, 11))
def test_each_limit_on_repeated_ngrams_is_of_its_own_length(n):
    words = " ".join(f"w{i}" for i in range(n))
    text = f"{words} {words}"  # the second half repeats the first, as one n-gram and in shorter ones
    limits = dict.fromkeys(range(5, 11), 1.0)
    assert reason(text, max_repeated_ngrams=list((limits | {n: 0.5}).values())) is None
    assert reason(text, max_repeated_ngrams=list((limits | {n: 0.49}).values())) == f"max_repeated_ngrams/{n}"
    if n < 10:
        assert reason(text, max_repeated_ngrams=list((limits | {n + 1: 0.01}).values())) is None
