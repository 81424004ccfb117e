"""What a stage of the user's own reaches, as the fixture `own` writes it."""

import pytest

from lmexp.core.provenance import own as own_code
from lmexp.core.provenance.own import find_own, folders_of, is_own
from lmexp.core.provenance.reach import reached_code
from lmexp.errors import ConfigError


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that writes files and returns what the function `main` of main.py reaches."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setattr("sys.path", [*__import__("sys").path, str(folder)])

    def reached(files, name="main"):
        for file, text in files.items():
            (folder / file).parent.mkdir(exist_ok=True, parents=True)
            (folder / file).write_text(text)
        return reached_code([("main", folder / "main.py", name)])

    return reached


def names(lines):
    return {line.partition(" ")[0] for line in lines if not line.startswith("import ")}


MAIN = "from near import helper\n\ndef main(x):\n    return helper(x)\n\ndef other(x):\n    return x\n"
NEAR = "STEP = 2\n\ndef helper(x):\n    return x + STEP\n\ndef unused(x):\n    return x\n"


def test_names_are_followed_through_imports_and_no_further(own):
    assert names(own({"main.py": MAIN, "near.py": NEAR})) == {"main", "helper", "STEP"}


def test_only_an_edit_of_what_is_reached_counts(own):
    before = own({"main.py": MAIN, "near.py": NEAR})
    assert (
        own({"near.py": NEAR.replace("def unused(x):\n    return x", "def unused(x):\n    return -x")})
        == before
    )
    assert own({"near.py": NEAR + "# a comment\n"}) == before
    assert own({"main.py": MAIN.replace("    return x\n", "    return -x\n")}) == before
    assert own({"near.py": NEAR.replace("x + STEP", "x - STEP")}) != before
    assert own({"near.py": NEAR.replace("STEP = 2", "STEP = 3")}) != before


def test_a_function_that_moves_is_the_same_code(own):
    before = own({"main.py": MAIN, "near.py": NEAR})
    moved = {"main.py": MAIN.replace("from near", "from far.away"), "far/away.py": NEAR, "near.py": ""}
    assert own(moved) == before


@pytest.mark.parametrize(
    ("main", "files", "expected"),
    [
        ("import near\ndef main(x):\n    return near.helper(x)", {"near.py": NEAR}, {"helper", "STEP"}),
        ("import near as n\ndef main(x):\n    return n.helper(x)", {"near.py": NEAR}, {"helper", "STEP"}),
        (
            "def main(x):\n    from near import helper as h\n    return h(x)",
            {"near.py": NEAR},
            {"helper", "STEP"},
        ),
        ("from near import *\ndef main(x):\n    return helper(x)", {"near.py": NEAR}, {"helper", "STEP"}),
        ("import near\ndef main(x):\n    return near", {"near.py": NEAR}, {"helper", "STEP", "unused"}),
        ("import a.b\ndef main(x):\n    return a.b.helper(x)", {"a/b.py": NEAR}, {"helper", "STEP"}),
        ("from a import b\ndef main(x):\n    return b.helper(x)", {"a/b.py": NEAR}, {"helper", "STEP"}),
        (
            "from a import helper\ndef main(x):\n    return helper(x)",
            {"a/__init__.py": "from .b import helper", "a/b.py": NEAR},
            {"helper", "STEP"},
        ),
        (
            "from a import b\ndef main(x):\n    return b.again(x)",
            {
                "a/__init__.py": "",
                "a/b.py": "from . import c\ndef again(x):\n    return c.f(x)",
                "a/c.py": "def f(x): pass",
            },
            {"again", "f"},
        ),
        ("TABLE = {'a': f}\ndef f(x): pass\ndef main(x):\n    return TABLE['a'](x)", {}, {"TABLE", "f"}),
        ("class A:\n    def f(self): return g()\ndef g(): pass\ndef main(x: A): pass", {}, {"A", "A.f", "g"}),
        ("class B:\n    pass\nclass A(B):\n    pass\ndef main(x):\n    return A()", {}, {"A", "B"}),
        ("def deco(f): return f\n@deco\ndef main(x): pass", {}, {"deco"}),
        ("def g(): pass\ndef main(x, y=g()): pass", {}, {"g"}),
        ("def g(): pass\ndef main(x):\n    return [g() for _ in x]", {}, {"g"}),
        ("def g(): pass\ndef main(x):\n    def inner():\n        return g()\n    return inner", {}, {"g"}),
        ("def g(): pass\ndef main(x):\n    return lambda y: g()", {}, {"g"}),
        ("def g(): pass\ndef main(x):\n    global g\n    g = x", {}, {"g"}),
        ("print(1)\ndef main(x): pass", {}, {"(top"}),
        ("import near\ndef main(x): pass", {"near.py": "print(1)\ndef f(): pass"}, {"(top"}),
        ("def main(x):\n    import near", {"near.py": "print(1)\ndef f(): pass"}, {"(top"}),
        ("def main(x):\n    import a.b", {"a/__init__.py": "print(1)", "a/b.py": ""}, {"(top"}),
        (
            "KEPT = []\ndef keep(f):\n    KEPT.append(f)\n@keep\ndef g(): pass\ndef main(x): pass",
            {},
            {"KEPT", "keep", "g"},
        ),
        ("import functools\n@functools.cache\ndef g(): pass\ndef main(x): pass", {}, set()),
    ],
)
def test_what_a_name_can_stand_for_is_reached(own, main, files, expected):
    assert names(own({"main.py": main, **files})) == {"main", *expected}


@pytest.mark.parametrize(
    "main",
    [
        "def g(): pass\ndef main(g):\n    return g",
        "def g(): pass\ndef main(x):\n    g = x\n    return g",
        "def g(): pass\ndef main(x):\n    return [g for g in x]",
        "def g(): pass\ndef main(x):\n    return lambda g: g",
        "def g(): pass\ndef main(x):\n    for g in x:\n        return g",
        "def g(): pass\ndef main(x):\n    match x:\n        case [g, *_]:\n            return g",
        "def g(): pass\ndef main(x):\n    try:\n        x()\n    except ValueError as g:\n        return g",
        "def g(): pass\ndef main(x):\n    return x.g",
        "def g(): pass\n@stage('name', produces=g)\ndef main(x): pass",
    ],
)
def test_a_name_of_the_functions_own_is_not_followed(own, main):
    assert names(own({"main.py": main})) == {"main"}


def test_what_a_decorator_of_another_own_module_may_keep_is_reached(own):
    keep = "KEPT = []\n\ndef keep(f):\n    KEPT.append(f)\n    return f\n"
    main = "from keeping import keep\n\n@keep\ndef g():\n    pass\n\ndef main(x):\n    pass\n"
    assert names(own({"main.py": main, "keeping.py": keep})) == {"main", "g", "keep", "KEPT"}


def test_modules_are_searched_beside_a_pipeline_and_beside_its_folder_where_that_is_called_pipelines(
    tmp_path,
):
    assert folders_of(tmp_path / "mine" / "a.py") == [str(tmp_path / "mine")]
    assert folders_of(tmp_path / "pipelines" / "a.py") == [str(tmp_path / "pipelines"), str(tmp_path)]


def test_names_outside_the_users_code_count_by_what_brings_them(own):
    lines = own(
        {"main.py": "from math import floor as f\nimport json\ndef main(x):\n    return f(json.loads(x))"}
    )
    assert [line for line in lines if line.startswith("import")] == ["import json", "import math.floor"]
    other = own(
        {"main.py": "from math import ceil as f\nimport json\ndef main(x):\n    return f(json.loads(x))"}
    )
    assert other != lines


@pytest.mark.parametrize(
    "files",
    [
        {
            "main.py": "from b import x\ndef main(): return x",
            "b.py": "from c import x",
            "c.py": "from b import x",
        },
        {
            "main.py": "from b import *\ndef main(): return x",
            "b.py": "from c import *",
            "c.py": "from b import *",
        },
        {"main.py": "def main(): return other()\ndef other(): return main()"},
        {"main.py": "import main\ndef main(): return main.main()"},
    ],
)
def test_circles_end(own, files):
    assert "main" in names(own(files))


def test_a_file_that_is_no_python_is_named(own):
    with pytest.raises(ConfigError, match=r"near\.py cannot be read as Python"):
        own({"main.py": MAIN, "near.py": "def helper(:"})


def test_own_code_is_what_is_neither_pythons_nor_installed_nor_lmexps(tmp_path):
    assert is_own(str(tmp_path / "mine.py"))
    assert not is_own(None)
    assert not is_own("_classes.py")  # as torch makes up
    assert not is_own(str(tmp_path / "mine.so"))
    assert not is_own(__import__("json").__file__)
    assert not is_own(__import__("numpy").__file__)
    assert not is_own(own_code.__file__)
    assert not is_own(str(tmp_path / ".venv" / "lib" / "site-packages" / "mine.py"))
    assert [
        find_own(name) for name in ("json", "numpy.linalg", "lmexp.core.provenance.own", "sys", "no_such")
    ] == [None] * 5
