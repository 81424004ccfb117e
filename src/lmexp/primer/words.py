"""The words and numbers of the primer, and which of them training never sees.

Made-up words are two different syllables of a consonant and a vowel, such as ``kalo``. There are few
syllables, so that a tokenizer of a few hundred tokens writes each as one token and a word that it has
never seen as two that it has. Operands are 0 to `MAX_NUMBER`. English words come from short lists.

Which part a word or a set of numbers belongs to is decided by the sha256 of what it is made of, in
whatever order it stands: no seed and no configuration moves it. Documents are made of the part `train`
alone; items of tasks are made of `test`, and their worked examples of `shots`, so that a prompt holds
nothing that a document held and no worked example answers an item.
"""

import hashlib
from functools import cache
from itertools import permutations

PARTS = ("train", "test", "shots")
"""What documents, items and worked examples are made of."""

TEST_SHARE = 0.15
SHOTS_SHARE = 0.10

CONSONANTS = "bdfgklmnprst"
VOWELS = "aeiou"
SYLLABLES = tuple(c + v for c in CONSONANTS for v in VOWELS)
"""The 60 syllables of made-up words."""

MAX_NUMBER = 19
"""The largest operand."""

OPERATOR_SIGNS = ("~", "#", "@", "&", "%", "$")
"""Signs of made-up operators; a sign tells nothing about its rule."""
ARROWS = ("->", "=>", ">>", "|")
"""Signs between a list and what becomes of it; a sign tells nothing about its rule."""

THINGS = ("ball", "kite", "book", "drum", "lamp", "cup", "hat", "key", "box", "bell")
COLOURS = ("red", "blue", "green", "black", "white", "brown")
PLACES = ("garden", "kitchen", "river", "house", "forest", "market", "school", "barn")
ANIMALS = ("cat", "dog", "bird", "horse", "goat", "duck", "frog", "hen")
ADJECTIVES = ("small", "big", "old", "young", "happy", "quiet", "hungry", "tired")
TRANSITIVE_VERBS = (("sees", "see"), ("likes", "like"), ("follows", "follow"), ("finds", "find"))
"""Verbs with an object, singular and plural."""
MOTION_VERBS = (("runs", "run"), ("walks", "walk"), ("goes", "go"), ("comes", "come"))
"""Verbs with a place, singular and plural."""


def part_of(key: str) -> str:
    """Return the part that the sha256 of `key` falls into."""
    fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if fraction < TEST_SHARE:
        return "test"
    return "shots" if fraction < TEST_SHARE + SHOTS_SHARE else "train"


def part_of_word(word: str) -> str:
    """Return the part of a made-up word; it is that of the word with its syllables swapped."""
    return part_of("word " + " ".join(sorted((word[:2], word[2:]))))


@cache
def part_of_numbers(numbers: tuple[int, ...]) -> str:
    """Return the part of these operands, in whatever order."""
    return part_of("numbers " + " ".join(map(str, sorted(numbers))))


@cache
def made_up_words(part: str) -> tuple[str, ...]:
    """Return the made-up words of one part, in order of syllables; English ones are left out."""
    everyday = {*THINGS, *COLOURS, *PLACES, *ANIMALS, *ADJECTIVES, *sum(TRANSITIVE_VERBS + MOTION_VERBS, ())}
    found = (a + b for a, b in permutations(SYLLABLES, 2) if part_of_word(a + b) == part)
    return tuple(word for word in found if word not in everyday)


@cache
def number_tuples(size: int, part: str) -> tuple[tuple[int, ...], ...]:
    """Return the tuples of `size` different numbers of one part, in order."""
    numbers = permutations(range(MAX_NUMBER + 1), size)
    return tuple(some for some in numbers if part_of_numbers(some) == part)
