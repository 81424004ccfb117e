"""Minimal pairs: verbatim but for one edit of equal length, reproducible, and spread over documents."""

import ast
import heapq
import json
import shlex
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from lmexp.evals.config import PYTHON_TASKS
from lmexp.evals.tasks.python_edits import EDITS
from lmexp.evals.tasks.python_files import parse
from lmexp.evals.tasks.python_pairs import MIN_CONTEXT_CHARACTERS, make_pairs

DOCUMENTS = [
    (module.__name__, Path(module.__file__).read_text())
    for module in (json.decoder, json.encoder, shlex, textwrap, heapq)
]
LIBRARY = dict(DOCUMENTS)


@pytest.fixture(scope="module", params=list(PYTHON_TASKS))
def made(request):
    return request.param, make_pairs(request.param, DOCUMENTS, None, 7)


def test_the_correct_choice_and_its_context_stand_verbatim_in_the_document(made):
    _, items = made
    for item in items:
        name, line = item.id.rsplit(":", 1)
        text = LIBRARY[name]
        assert item.context + item.choices[item.gold] in text
        assert len(item.context) >= MIN_CONTEXT_CHARACTERS
        assert item.context.endswith("\n")
        start = text.index(item.context + item.choices[item.gold]) + len(item.context)
        edited = text.count("\n", 0, start) + 1
        assert item.choices[item.gold].count("\n") <= 1
        assert edited == int(line)
        assert start + len(item.choices[item.gold]) == len(text) or (
            text[start + len(item.choices[item.gold])] == "\n"
        )


def test_the_choices_have_equal_length_and_differ_in_one_place(made):
    task, items = made
    for item in items:
        right, wrong = item.choices[item.gold], item.choices[1 - item.gold]
        assert len(right) == len(wrong)
        assert right != wrong
        different = [i for i, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b]
        a, b = right[different[0] : different[-1] + 1], wrong[different[0] : different[-1] + 1]
        if task == "python_bracket":
            assert len(a) == 1
            assert a in ")]}"
            assert b in ")]}"
        elif task == "python_operator":
            assert len(a) <= 2
        elif task == "python_argument":
            assert sorted(right) == sorted(wrong)


def test_a_corrupted_file_still_parses_unless_a_bracket_is_wrong(made):
    task, items = made
    for item in items[:25]:
        text = LIBRARY[item.id.rsplit(":", 1)[0]]
        broken = text.replace(
            item.context + item.choices[item.gold], item.context + item.choices[1 - item.gold]
        )
        if task == "python_bracket":
            with pytest.raises(SyntaxError):
                ast.parse(broken)
        else:
            assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(text))


def test_half_of_the_items_have_the_correct_choice_first(made):
    _, items = made
    assert abs(2 * sum(item.gold for item in items) - len(items)) <= 1
    assert len({item.id for item in items}) == len(items)


def test_items_depend_on_the_seed_and_on_nothing_else():
    for task in PYTHON_TASKS:
        first = make_pairs(task, DOCUMENTS, 12, 1)
        assert first == make_pairs(task, DOCUMENTS, 12, 1)
        assert first != make_pairs(task, DOCUMENTS, 12, 2)


def test_every_document_gives_a_few_items_before_any_gives_more():
    items = make_pairs("python_identifier", DOCUMENTS, 15, 3)
    assert set(Counter(item.id.rsplit(":", 1)[0] for item in items).values()) == {3}
    assert len(make_pairs("python_identifier", DOCUMENTS, 60, 3)) == 60


def test_kinds_of_brackets_are_correct_equally_often_as_far_as_the_files_go():
    kinds: Counter[str] = Counter()
    for item in make_pairs("python_bracket", DOCUMENTS, 60, 3):
        right, wrong = item.choices[item.gold], item.choices[1 - item.gold]
        kinds[next(a for a, b in zip(right, wrong, strict=True) if a != b)] += 1
    assert kinds.total() == 60
    assert abs(kinds["]"] - kinds[")"]) <= 1
    assert 1 <= kinds["}"] <= 20


SOURCE = '''
"""A file whose edits are known."""
import os
limit = 10


def area(width, total, scale=1):
    height = total + 1
    if width > height and total is None:
        return os.path.join(width, "é" * total)
    values = [width for width in range(total)]
    print(total, width)
    values[0] += max(total, width) - {}
    return check(total, total) + measure(height, *values)


def outer(first, other):
    def inner(third):
        return first + third
    return inner(other, first)
'''


def edits_of(task):
    file = parse(SOURCE)
    return {
        (SOURCE[e.start : e.end], SOURCE.count("\n", 0, e.start) + 1, e.alternatives)
        for e in EDITS[task](file)
    }


def test_operators_are_found_between_their_operands():
    assert {(text, line) for text, line, _ in edits_of("python_operator")} == {
        ("+", 8), (">", 9), ("is", 9), ("*", 10), ("+=", 13), ("-", 13), ("+", 14), ("+", 19)
    }  # fmt: skip
    assert (">", 9, ("<",)) in edits_of("python_operator")
    assert ("is", 9, ("in",)) in edits_of("python_operator")


def test_arguments_are_swapped_where_their_order_matters():
    assert edits_of("python_argument") == {
        ('width, "é" * total', 10, ('"é" * total, width',)),
        ("other, first", 20, ("first, other",)),
    }


def test_opening_brackets_and_empty_pairs_are_left_alone():
    found = Counter((text, line) for text, line, _ in edits_of("python_bracket"))
    assert found == {(")", 7): 1, (")", 10): 1, ("]", 11): 1, (")", 11): 1, (")", 12): 1, ("]", 13): 1,
                     (")", 13): 1, (")", 14): 1, (")", 17): 1, (")", 18): 1, (")", 20): 1}  # fmt: skip
    assert all(set(others) == set(")]}") - {text} for text, _, others in edits_of("python_bracket"))


def test_names_are_swapped_for_others_in_scope_that_were_seen():
    found = edits_of("python_identifier")
    assert ("total", 10, ("scale", "width")) in found
    assert ("width", 9, ("scale", "total")) in found
    assert ("first", 20, ("inner", "other", "third")) not in found
    assert ("first", 20, ("inner", "other")) in found
    assert not any(text in ("os", "range", "join", "None") for text, _, _ in found)


def test_documents_that_do_not_parse_are_skipped_and_counted():
    skipped: Counter[str] = Counter()
    bad = [("a", "def f(:\n"), ("b", "x = 1\r\n"), ("c", "\0")]
    make_pairs("python_operator", [*DOCUMENTS, *bad], 5000, 0, skipped)
    assert skipped == {"does not parse": 3}


def test_text_that_is_no_python_gives_no_items():
    prose = [("a.txt", "It was the best of times."), ("b.txt", "word " * 99)]
    skipped = Counter()
    assert make_pairs("python_identifier", prose, 10, 0, skipped) == []
    assert skipped == {"does not parse": 2}
