import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.provenance.code import TOP_LEVEL, read_source

SOURCE = '''
"""A module."""

import math
from typing import TYPE_CHECKING

from lmexp.core.values.config import Config, option

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 3
print("imported")


class Rows(Config):
    """Rows."""

    width: int = option(4)
    """How wide."""
    kind = "row"

    def area(self, height):
        """How large."""
        return self.width * height  # in cells


def fit(rows, limit=LIMIT):
    """Fit."""

    def inner(row):
        return math.floor(row)

    return [inner(row) for row in rows if row < limit]


@stage("fit", version=1, produces=None)
def run_fit(run, config):
    return fit(run)
'''


@pytest.fixture
def hashes(tmp_path):
    def of(text):
        path = tmp_path / "module.py"
        path.write_text(text)
        return dict(read_source(path).hashes)

    return of


def changed(before, after):
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_a_file_is_its_functions_classes_methods_values_and_the_rest(hashes):
    names = {"LIMIT", "Rows", "Rows.area", "fit", "run_fit", TOP_LEVEL}
    assert hashes(SOURCE).keys() == names
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in hashes(SOURCE).values())
    assert len(set(hashes(SOURCE).values())) == len(names)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# in cells", "# in squares"),
        ('"""How large."""', '"""How big."""'),
        ('"""How wide."""', ""),
        ('"""A module."""', ""),
        ("self.width * height", "(self.width  *  height)"),
        ("option(4)", "option(5, ge=1)"),
        ("version=1, ", "version=2, "),
        ("    from pathlib import Path", "    from pathlib import PurePath"),
        ("import math\n", "import math\nimport json\n"),
        ("import math\n", "import math as math\n"),
        ("from lmexp.core.values.config import Config, option", "from elsewhere import Config, option"),
        ("LIMIT = 3", "\n\n\nLIMIT = 0x3"),
    ],
)
def test_what_changes_no_result_changes_no_hash(hashes, old, new):
    assert old in SOURCE
    assert changed(hashes(SOURCE), hashes(SOURCE.replace(old, new, 1))) == set()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("self.width * height", "self.width + height", {"Rows.area"}),
        ("math.floor(row)", "math.ceil(row)", {"fit"}),
        ("import math\n", "import numpy as math\n", {"fit"}),
        ("row < limit", "row <= limit", {"fit"}),
        ("limit=LIMIT", "limit=4", {"fit"}),
        ("def fit(rows", "async def fit(rows", {"fit"}),
        ("return fit(run)", "return fit(config)", {"run_fit"}),
        ("LIMIT = 3", "LIMIT = 3.0", {"LIMIT"}),
        ("LIMIT = 3", "LIMIT = True", {"LIMIT"}),
        ("LIMIT = 3", "LIMIT: int = 3", {"LIMIT"}),
        ('print("imported")', 'print("loaded")', {TOP_LEVEL}),
        ('kind = "row"', 'kind = "rows"', {"Rows"}),
        ("class Rows(Config)", "class Rows(Other)", {"Rows"}),
        ("def area", "def size", {"Rows", "Rows.area", "Rows.size"}),
        ("    def area", "    @property\n    def area", {"Rows.area"}),
        ("class Rows", "@frozen\nclass Rows", {"Rows"}),
        ("if TYPE_CHECKING:", "if DEBUG:", {TOP_LEVEL}),
        ("LIMIT = 3", "LIMIT = 3\nLIMIT = 4", {"LIMIT"}),
        ("LIMIT = 3", "LIMIT = OTHER = 3", {"LIMIT", TOP_LEVEL}),
        ("    return [inner(row)", "    from math import exp\n\n    return [inner(row)", set()),
    ],
)
def test_what_may_change_a_result_changes_the_hash_of_its_definition_alone(hashes, old, new, names):
    assert old in SOURCE
    assert changed(hashes(SOURCE), hashes(SOURCE.replace(old, new, 1))) == names


def test_the_form_of_a_tree_is_pinned(hashes):
    text = "def f(x, *, y=2.5):\n    return (g(x) + y) if x else 'é'\n"
    assert hashes(text) == {"f": "5df7ffc8c939"}


def test_what_runs_where_types_are_not_checked_counts(hashes):
    text = "if TYPE_CHECKING:\n    from a import b\nelse:\n    b = 1\n"
    assert changed(hashes(text), hashes(text.replace("1", "2"))) == {TOP_LEVEL}


def test_an_import_inside_a_function_counts_by_what_it_brings(hashes):
    before = hashes("def f(x):\n    from a import g\n\n    return g(x)")
    assert hashes("def f(x):\n    from b.c import g\n\n    return g(x)") == before  # g has moved
    assert hashes("def f(x):\n    from a import h as g\n\n    return g(x)") != before
    assert hashes("def f(x):\n    import a.g as g\n\n    return g(x)") != before


def test_every_import_is_listed_with_its_module(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("import a.b\nfrom . import c\nfrom ..d import *\ndef f():\n    import e.h as g\n")
    source = read_source(path)
    assert source.every_import == {("a", None), (".", "c"), ("..d", "*"), ("e.h", None)}
    assert source.imports == {"a": ("a", None), "c": (".", "c")}
    assert source.stars == ("..d",)


EXPRESSIONS = st.recursive(
    st.one_of(
        st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.booleans(), st.none()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, EXPRESSIONS)
@settings(max_examples=100, deadline=None)
def test_two_values_hash_alike_where_their_syntax_trees_are_alike(tmp_path_factory, a, b):
    folder = tmp_path_factory.mktemp("values")
    found = []
    for index, value in enumerate((a, b)):
        path = folder / f"{index}.py"
        path.write_text(f"VALUE = {value!r}\n", encoding="utf-8")
        found.append(read_source(path).hashes["VALUE"])
    assert (found[0] == found[1]) == (ast.dump(ast.parse(repr(a))) == ast.dump(ast.parse(repr(b))))
