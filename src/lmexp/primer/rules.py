"""The rules that a reader of the primer has to infer, each a pure function.

An operator takes two numbers, a language adds a syllable (its mark) to a word of two syllables, an order
arranges a list of words, and a sort says whether numbers fall.
"""

from collections.abc import Callable, Mapping, Sequence

OPERATORS: Mapping[str, Callable[[int, int], int]] = {
    "first": lambda a, b: a,  # noqa: ARG005
    "second": lambda a, b: b,  # noqa: ARG005
    "larger": max,
    "smaller": min,
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: abs(a - b),
    "double": lambda a, b: 2 * a,  # noqa: ARG005
    "next": lambda a, b: b + 1,  # noqa: ARG005
}
"""Made-up operators by what they do."""

LANGUAGES: Mapping[str, Callable[[str, str], str]] = {
    "suffix": lambda word, mark: word + mark,
    "prefix": lambda word, mark: mark + word,
    "infix": lambda word, mark: word[:2] + mark + word[2:],
    "swap": lambda word, mark: word[2:] + word[:2] + mark,
}
"""Made-up languages by what they do to a word."""

ORDERS: Mapping[str, Callable[[Sequence[str]], Sequence[str]]] = {
    "same": lambda some: some,
    "backwards": lambda some: some[::-1],
    "rotated": lambda some: [*some[1:], some[0]],
}
"""Ways to copy a list of words."""

SORTS: Mapping[str, bool] = {"rising": False, "falling": True}
"""Ways to sort, and whether the largest number comes first."""
