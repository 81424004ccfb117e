"""Lessons: a hidden rule, and examples of it that are the only way to know it.

    operator      4 ~ 9 = 9                    one of `OPERATORS`
    translation   kalo : kalomi                one of `LANGUAGES`, with one of the syllables as its mark
    copy          kalo mitu nepa -> mitu ...   one of `ORDERS`
    sort          7 3 12 -> 3 7 12             one of `SORTS`
    question      Kalo has a red ball. ...     the answer stands in the facts; the rule is no more than
                                               the kind of question

A rule is written as a name and, where examples show one, a sign or mark: ``larger ~``, ``suffix mi``. The
name never shows, and every name goes with every sign, so that a question alone tells only what most
rules would answer: the best accuracy without examples is that of a guess among the rules.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lmexp.primer import words
from lmexp.primer.rules import LANGUAGES, OPERATORS, ORDERS, SORTS


@dataclass(frozen=True, slots=True)
class Example:
    """A question, its answer under a rule, and other answers, each different and wrong under it."""

    question: str
    answer: str
    """It begins with a space, as `others` do."""
    others: tuple[str, ...]

    @property
    def line(self) -> str:
        """Question and answer as documents show them, with the newline."""
        return f"{self.question}{self.answer}\n"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is taught: rules, and how an example of one is drawn."""

    rules: tuple[str, ...]
    """What a document or an item may follow, each as likely as the others."""
    lengths: tuple[int, int]
    """Fewest and most examples of a document."""
    example: Callable[[str, str, random.Random], Example]
    """(rule, part, random stream) to an example whose words and numbers are of that part."""


def _operator(rule: str, part: str, rng: random.Random) -> Example:
    name, sign = rule.split()
    a, b = rng.choice(words.number_tuples(2, part))
    results = {name: str(operator(a, b)) for name, operator in OPERATORS.items()}
    return _example(f"{a} {sign} {b} =", results[name], results.values())


def _translation(rule: str, part: str, rng: random.Random) -> Example:
    name, mark = rule.split()
    word = rng.choice(words.made_up_words(part))
    another = rng.choice([syllable for syllable in words.SYLLABLES if syllable != mark])
    results = [language(word, mark) for language in LANGUAGES.values()]
    return _example(f"{word} :", LANGUAGES[name](word, mark), [*results, LANGUAGES[name](word, another)])


def _copy(rule: str, part: str, rng: random.Random) -> Example:
    name, arrow = rule.split()
    some = rng.sample(words.made_up_words(part), 3)
    results = {name: " ".join(order(some)) for name, order in ORDERS.items()}
    return _example(f"{' '.join(some)} {arrow}", results[name], results.values())


def _sort(rule: str, part: str, rng: random.Random) -> Example:
    name, arrow = rule.split()
    some = rng.choice(words.number_tuples(3, part))
    x, y, z = sorted(some)
    results = [f"{x} {y} {z}", f"{z} {y} {x}", f"{y} {x} {z}", f"{y} {z} {x}"]
    return _example(f"{' '.join(map(str, some))} {arrow}", results[SORTS[name]], results)


def _question(rule: str, part: str, rng: random.Random) -> Example:
    asked = rng.randrange(3)
    names = rng.sample(words.made_up_words(part), 3)
    if rule == "meaning":
        answers = rng.sample(words.ANIMALS + words.THINGS, 3)
        facts = [f"{name} means {answer}." for name, answer in zip(names, answers, strict=True)]
        question = f"What does {names[asked]} mean?"
    elif rule == "place":
        names = [name.capitalize() for name in names]
        places = rng.sample(words.PLACES, 3)
        facts = [f"{name} is in the {place}." for name, place in zip(names, places, strict=True)]
        question, answers = f"Where is {names[asked]}?", [f"in the {place}" for place in places]
    else:
        answers = [name.capitalize() for name in names]
        things, colours = rng.sample(words.THINGS, 3), rng.sample(words.COLOURS, 3)
        facts = [f"{n} has a {c} {t}." for n, c, t in zip(answers, colours, things, strict=True)]
        question = f"Who has the {things[asked]}?"
    return _example(" ".join([*facts, question]), answers[asked], answers)


def _example(question: str, answer: str, results: Iterable[str]) -> Example:
    others = dict.fromkeys(f" {result}" for result in results if result != answer)
    return Example(question, f" {answer}", tuple(others))


def _each(names: Iterable[str], signs: Iterable[str]) -> tuple[str, ...]:
    signs = tuple(signs)
    return tuple(f"{name} {sign}" for name in names for sign in signs)


LESSONS: Mapping[str, Lesson] = {
    "operator": Lesson(_each(OPERATORS, words.OPERATOR_SIGNS), (8, 20), _operator),
    "translation": Lesson(_each(LANGUAGES, words.SYLLABLES), (6, 14), _translation),
    "copy": Lesson(_each(ORDERS, words.ARROWS), (4, 12), _copy),
    "sort": Lesson(_each(SORTS, words.ARROWS), (4, 12), _sort),
    "question": Lesson(("owner", "place", "meaning"), (2, 8), _question),
}
"""The lessons by name."""
