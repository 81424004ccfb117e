"""Shots: of the item's own group, independent of other items; permuted labels that all change."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.tasks.items import Item
from lmexp.evals.tasks.shots import Examples, derangement

WORDS = st.sampled_from("abc")


def item(i, answer="a", group="", choices=None):
    return Item(f"i{i}", f"question {i}:", choices or (answer,), 0, group)


@given(st.lists(WORDS, max_size=8), st.integers(0, 99))
def test_a_derangement_keeps_the_values_and_moves_each_where_one_exists(values, seed):
    result = derangement(values, random.Random(seed))
    exists = any(
        all(a != b for a, b in zip(values, order, strict=True))
        for order in set(itertools.permutations(values))
    )
    assert (result is not None) == (exists and len(values) > 0)
    if result is not None:
        assert Counter(result) == Counter(values)
        assert all(a != b for a, b in zip(values, result, strict=True))


def test_derangements_differ_from_seed_to_seed():
    found = {tuple(derangement("abcd", random.Random(seed))) for seed in range(60)}
    assert len(found) > 4


def test_shots_come_from_the_items_own_group():
    examples = [item(i, group=str(i % 3)) for i in range(30)]
    for asked in examples:
        shots = Examples(examples).shots(asked, 9, 4)
        assert len({shot.id for shot in shots}) == 9
        assert all(int(shot.id[1:]) % 3 == int(asked.group) for shot in shots)
        assert asked.id not in {shot.id for shot in shots}


def test_an_example_with_the_items_own_text_is_never_its_shot():
    asked = Item("asked", "two and two:", ("four",), 0)
    twin = Item("twin", "two and two:", ("four",), 0)
    examples = [twin, *(item(i) for i in range(3))]
    assert {shot.id for shot in Examples(examples).shots(asked, 3, 0)} == {"i0", "i1", "i2"}
    with pytest.raises(DataError, match="there are 3 to choose from"):
        Examples(examples).shots(asked, 4, 0)


def test_a_group_with_too_few_examples_is_named():
    with pytest.raises(DataError, match="there are 1 to choose from in the group 'b'"):
        Examples([item(0, group="b"), item(1, group="b"), item(2)]).shots(item(0, group="b"), 2, 0)


@given(st.lists(WORDS, min_size=2, max_size=12, unique=False), st.integers(1, 5), st.integers(0, 9))
def test_permuted_shots_are_the_same_shots_with_every_answer_changed(answers, n, seed):
    examples = [item(i, answer, choices=(answer, "z")) for i, answer in enumerate(answers)]
    pool, asked = Examples(examples), examples[0]
    if n > len(examples) - 1:
        return
    true, permuted = pool.shots(asked, n, seed), pool.permuted_shots(asked, n, seed)
    assert [shot.id for shot in true] == [shot.id for shot in permuted]
    assert [shot.context for shot in true] == [shot.context for shot in permuted]
    assert all(a.answer != b.answer for a, b in zip(true, permuted, strict=True))
    commonest = Counter(shot.answer for shot in true).most_common(1)[0][1]
    if 2 * commonest <= n:
        assert Counter(s.answer for s in true) == Counter(s.answer for s in permuted)
    else:
        assert {s.answer for s in permuted} == {"z"}
    assert permuted == pool.permuted_shots(asked, n, seed)


def test_a_single_shot_without_choices_takes_another_answer_of_its_group():
    examples = [item(0, "a"), item(1, "b"), item(2, "b"), Item("other", "?", ("c",), 0, "elsewhere")]
    (shot,) = Examples(examples).permuted_shots(item(9), 1, 3)
    true = {e.id: e.choices[0] for e in examples}[shot.id]
    assert shot.answer == {"a": "b", "b": "a"}[true]


def test_minimal_pairs_show_their_wrong_sentences():
    examples = [Item(f"p{i}", "", (f"good {i}", f"bad {i}"), 0) for i in range(5)]
    shots = Examples(examples).permuted_shots(examples[0], 3, 0)
    assert [shot.answer for shot in shots] == [f"bad {shot.id[1:]}" for shot in shots]


def test_no_wrong_answer_anywhere_is_a_sentence():
    examples = Examples([*(item(i) for i in range(4)), item(5, "a", "mixed"), item(6, "b", "mixed")])
    sentence = (
        r"no wrong answer .* all answers of its group .*set prompts.permute_labels=false or leave the task"
    )
    with pytest.raises(DataError, match=sentence):
        examples.permuted_shots(item(0), 2, 0)
    with pytest.raises(DataError, match=sentence):
        examples.check_permutable("")
    examples.check_permutable("mixed")


@given(st.lists(st.sampled_from("ab"), min_size=3, max_size=6), st.booleans(), st.integers(1, 2))
def test_what_is_called_permutable_is_what_can_be_permuted(answers, has_choices, n):
    choices = ("a", "b") if has_choices else None
    examples = [
        Item(f"i{i}", f"question {i}:", choices or (answer,), (choices or (answer,)).index(answer))
        for i, answer in enumerate(answers)
    ]
    pool = Examples(examples)
    if len(set(answers)) > 1 or has_choices:
        pool.check_permutable("")
        assert all(len(pool.permuted_shots(asked, n, 0)) == n for asked in examples)
    else:
        with pytest.raises(DataError, match="finds no wrong answer"):
            pool.check_permutable("")
        with pytest.raises(DataError, match="finds no wrong answer"):
            pool.permuted_shots(examples[0], n, 0)
