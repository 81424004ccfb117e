"""Lessons and stories: answers against an oracle, and that no question tells its rule."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.primer import words
from lmexp.primer.lessons import LESSONS
from lmexp.primer.stories import story
from tests.primer import oracle

SEEDS = st.integers(0, 2**32)


@settings(deadline=None)
@given(st.sampled_from(sorted(LESSONS)), st.sampled_from(words.PARTS), SEEDS, st.data())
def test_an_answer_is_what_the_rule_says_and_the_others_are_different(name, part, seed, data):
    rule = data.draw(st.sampled_from(LESSONS[name].rules))
    example = LESSONS[name].example(rule, part, random.Random(seed))
    assert example.answer == " " + oracle.answer(name, rule, example.question)
    choices = [example.answer, *example.others]
    assert len(set(choices)) == len(choices) >= 2
    assert all(choice.startswith(" ") and choice.strip() for choice in choices)
    assert example.line == f"{example.question}{example.answer}\n"


@settings(deadline=None)
@given(st.sampled_from(["operator", "copy", "sort"]), SEEDS)
def test_what_any_rule_behind_the_same_sign_answers_is_among_the_choices(name, seed):
    rule = LESSONS[name].rules[seed % len(LESSONS[name].rules)]
    example = LESSONS[name].example(rule, "test", random.Random(seed))
    sign = rule.split()[1]
    for other in (r for r in LESSONS[name].rules if r.split()[1] == sign):
        assert " " + oracle.answer(name, other, example.question) in (example.answer, *example.others)


@pytest.mark.parametrize("name", ["operator", "translation", "copy", "sort"])
def test_every_name_goes_with_every_sign_so_that_a_question_tells_no_rule(name):
    pairs = {tuple(rule.split()) for rule in LESSONS[name].rules}
    names, signs = {n for n, _ in pairs}, {s for _, s in pairs}
    assert pairs == {(n, s) for n in names for s in signs}
    assert len(LESSONS[name].rules) == len(pairs)
    for sign in sorted(signs)[:3]:
        questions = {LESSONS[name].example(f"{n} {sign}", "test", random.Random(7)).question for n in names}
        assert len(questions) == 1


@settings(deadline=None)
@given(SEEDS)
def test_verbs_of_a_story_agree_with_their_subjects(seed):
    text = story(random.Random(seed))
    singular = {verb for verb, _ in words.TRANSITIVE_VERBS + words.MOTION_VERBS} | {"is"}
    plural = {verb for _, verb in words.TRANSITIVE_VERBS + words.MOTION_VERBS} | {"are"}
    opening, *sentences = re.findall(r"[A-Z][^.]*\.", text)
    assert re.fullmatch(r"One day (a [^aeiou]|an [aeiou])\w+ \w+ \w+ to the \w+\.", opening)
    assert 2 <= len(sentences) <= 6
    for sentence in sentences:
        subject, verb = re.match(r"(It|The \w+) (\w+)", sentence).groups()
        assert verb in (plural if subject.endswith("s") else singular)
    assert text.endswith(".\n")
    assert "\n" not in text[:-1]
