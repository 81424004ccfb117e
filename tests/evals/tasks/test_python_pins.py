"""Python pairs as they are, not only that they repeat: one file's edits and items, written out.

Items of a task are known by their text alone: where one of these changes, so do published accuracies, and
the version of the stage `prompts` has to.
"""

import ast

import pytest

from lmexp.evals.tasks.python_edits import EDITS
from lmexp.evals.tasks.python_files import parse
from lmexp.evals.tasks.python_pairs import make_pairs

TEXT = '''"""Größen und Gewichte: a module that weighs what it is given, in grams, and says how much of it there is.

It stands here so that items have enough of a context: two hundred characters are what each of them needs.
"""

FACTOR = 1000


def weight(apples, pears, scale=1.0):
    """Return the weight of apples and pears — in grams, naïvely."""
    total = 0
    for fruit in apples + pears:
        grams = fruit * FACTOR
        total += grams
        total = max(total, grams) - scale
    return total


def shares(apples, pears):
    whole = weight(apples, pears)
    parts = {"äpfel": weight(apples, []), "pears": weight([], pears)}
    if whole <= 0 or parts == {}:
        return [0 for _ in parts]
    return [round(part / whole, 3) for part in parts.values()]
'''  # noqa: E501 (the places below are counted in it)
EXPECTED = {
    "python_identifier": [
        (374, "apples", ("FACTOR", "weight")),
        (383, "pears", ("scale", "total")),
        (406, "fruit", ("pears", "scale", "total")),
        (438, "grams", ("fruit", "pears", "scale", "total")),
        (464, "total", ("fruit", "grams", "pears", "scale")),
        (471, "grams", ("fruit", "pears", "scale", "total")),
        (480, "scale", ("fruit", "grams", "pears", "total")),
        (497, "total", ("fruit", "grams", "pears", "scale")),
        (551, "apples", ("FACTOR", "shares", "weight")),
        (588, "weight", ("apples",)),
        (595, "apples", ("FACTOR", "shares", "weight")),
        (617, "weight", ("apples",)),
        (628, "pears", ("whole",)),
        (643, "whole", ("parts", "pears")),
        (657, "parts", ("pears", "whole")),
    ],
    "python_operator": [
        (381, "+", ("-", "*", "/")),
        (412, "*", ("+", "-", "/")),
        (435, "+=", ("-=", "*=", "/=")),
        (478, "-", ("+", "*", "/")),
        (649, "<=", ("==", "!=", ">=")),
        (663, "==", ("!=", "<=", ">=")),
        (727, "/", ("+", "-", "*")),
    ],
    "python_bracket": [
        *((at, ")", ("]", "}")) for at in (271, 476, 529, 564, 605, 633)),
        (634, "}", (")", "]")),
        (702, "]", (")", "}")),
        (737, ")", ("]", "}")),
        (765, "]", (")", "}")),
    ],
    "python_argument": [
        (551, "apples, pears", ("pears, apples",)),
        (595, "apples, []", ("[], apples",)),
        (624, "[], pears", ("pears, []",)),
        (722, "part / whole, 3", ("3, part / whole",)),
    ],
}
ITEMS = {
    "python_identifier": [
        (
            *("ä.py:21", 566, "whole = weight(apples, pears)\n", 1),
            '    parts = {"äpfel": weight(apples, []), "pears": weight([], whole)}',
            '    parts = {"äpfel": weight(apples, []), "pears": weight([], pears)}',
        ),
        ("ä.py:14", 421, "grams = fruit * FACTOR\n", 0, "        total += grams", "        total += scale"),
    ],
    "python_operator": [
        (
            *("ä.py:12", 357, "total = 0\n", 0),
            *("    for fruit in apples + pears:", "    for fruit in apples * pears:"),
        ),
        ("ä.py:14", 421, "grams = fruit * FACTOR\n", 1, "        total *= grams", "        total += grams"),
    ],
    "python_bracket": [
        (
            *("ä.py:23", 670, "if whole <= 0 or parts == {}:\n", 1),
            *("        return [0 for _ in parts)", "        return [0 for _ in parts]"),
        ),
        ("ä.py:19", 505, "return total\n\n\n", 0, "def shares(apples, pears):", "def shares(apples, pears}:"),
    ],
    "python_argument": [
        (
            *("ä.py:21", 566, "whole = weight(apples, pears)\n", 0),
            '    parts = {"äpfel": weight(apples, []), "pears": weight([], pears)}',
            '    parts = {"äpfel": weight([], apples), "pears": weight([], pears)}',
        ),
        (
            *("ä.py:20", 532, "def shares(apples, pears):\n", 1),
            *("    whole = weight(pears, apples)", "    whole = weight(apples, pears)"),
        ),
    ],
}


@pytest.mark.parametrize("task", EDITS)
def test_the_edits_of_a_file_are_these(task):
    edits = sorted(EDITS[task](parse(TEXT)), key=lambda edit: edit.start)
    assert [(edit.start, TEXT[edit.start : edit.end], edit.alternatives) for edit in edits] == EXPECTED[task]


@pytest.mark.parametrize("task", EDITS)
def test_the_items_of_a_file_are_these(task):
    items = make_pairs(task, [("ä.py", TEXT)], 2, 3)
    assert [(i.id, len(i.context), i.gold, *i.choices) for i in items] == [
        (name, size, gold, *choices) for name, size, _, gold, *choices in ITEMS[task]
    ]
    for item, (_, size, end, *_) in zip(items, ITEMS[task], strict=True):
        assert item.context == TEXT[:size]
        assert item.context.endswith(end)


def test_only_names_that_are_read_are_swapped():
    places = {}
    for node in ast.walk(ast.parse(TEXT)):
        if isinstance(node, ast.Name):
            line = TEXT.splitlines(keepends=True)[node.lineno - 1].encode()
            start = sum(map(len, TEXT.splitlines(keepends=True)[: node.lineno - 1]))
            places[start + len(line[: node.col_offset].decode())] = type(node.ctx)
    edited = {edit.start for edit in EDITS["python_identifier"](parse(TEXT))}
    assert {places[start] for start in edited} == {ast.Load}
    assert ast.Store in places.values()


@pytest.mark.parametrize(("size", "expected"), [(199, 0), (200, 1)])
def test_a_context_has_at_least_two_hundred_characters(size, expected):
    head = f'"""{"é" * (size - 7)}"""\n'
    assert len(head) == size
    assert len(make_pairs("python_operator", [("a", head + "x = 1 + 2\n")], None, 0)) == expected


@pytest.mark.parametrize(("size", "expected"), [(200, 1), (201, 0)])
def test_a_continuation_has_at_most_two_hundred_characters(size, expected):
    line = f"x = 1 + {'2' * (size - 8)}"
    assert len(line) == size
    head = f'"""{"é" * 300}"""\n'
    assert len(make_pairs("python_operator", [("a", f"{head}{line}\n")], None, 0)) == expected


@pytest.mark.parametrize(("size", "whole"), [(1000, True), (1001, False)])
def test_a_context_is_at_most_a_thousand_characters_from_a_line_start_on(size, whole):
    second = f'"""{"é" * 500}"""\n'
    first = f'"""{"x" * (size - len(second) - 7)}"""\n'
    (item,) = make_pairs("python_operator", [("a", f"{first}{second}x = 1 + 2\n")], None, 0)
    assert item.context == (first + second if whole else second)
