"""Drift, on a small package and a user's folder that stand in for lmexp and a project."""

import json
import os
import time

import pytest

from lmexp.core.provenance import drift
from lmexp.core.provenance.drift import CodeReader, changed_since, code_record, named
from lmexp.core.values.sealed import read_sealed

FILES = {
    "lmexp/__init__.py": "",
    "lmexp/stages/__init__.py": "from .first import First\nfrom .third import third\n",
    "lmexp/stages/first.py": "from lmexp.core.engine import run\nclass First:\n    pass\n",
    "lmexp/stages/second.py": "from lmexp.stages import First\ndef second():\n    import lmexp.rows\n",
    "lmexp/stages/third.py": "def third():\n    return 3\n",
    "lmexp/core/__init__.py": "",
    "lmexp/core/engine.py": "def run():\n    return 1\n",
    "lmexp/rows.py": "LIMIT = 3\n\ndef fit():\n    return LIMIT\n\ndef cut():\n    return 2\n",
    "own/helpers.py": "def total():\n    return 0\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A package with three stages, of which the second has run, and a folder of the user's own."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1e9, 1e9))
    monkeypatch.setattr(drift, "PACKAGE", tmp_path / "lmexp")
    monkeypatch.setattr(drift, "folders", lambda: [str(tmp_path / "own")])
    return tmp_path


def modules(project, *names):
    found = {}
    for name in names:
        path = project / "lmexp" / "/".join(name.split(".")[1:])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        found[name] = str(file)
    return found


@pytest.fixture
def record(project):
    provided = modules(
        project, "lmexp", "lmexp.stages", "lmexp.stages.first", "lmexp.stages.second", "lmexp.stages.third",
        "lmexp.core", "lmexp.core.engine",
    )  # fmt: skip
    loaded = provided | modules(project, "lmexp.rows") | {"helpers": str(project / "own" / "helpers.py")}
    found = {"provided": provided, "loaded": loaded}
    return {"code": code_record("lmexp.stages.second", found, time.time(), CodeReader())}


def edit(project, name, old, new):
    path = project / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_functions_of_what_the_stage_imported_are_recorded_and_other_stages_are_not(record):
    files = record["code"]["files"]
    assert {file: sorted(functions) for file, functions in files.items()} == {
        "helpers.py": ["total"],
        "lmexp/core/engine.py": ["run"],
        "lmexp/rows.py": ["LIMIT", "cut", "fit"],
        "lmexp/stages/first.py": ["First"],
        "lmexp/stages/second.py": ["second"],
    }
    assert json.loads(json.dumps(record)) == record


def test_a_package_that_is_imported_whole_does_not_stand_for_all_that_it_imports(project):
    (project / "own" / "mine.py").write_text("from lmexp import stages\ndef mine():\n    pass\n")
    os.utime(project / "own" / "mine.py", (1e9, 1e9))
    loaded = modules(project, "lmexp", "lmexp.stages", "lmexp.stages.first", "lmexp.stages.third")
    loaded["mine"] = str(project / "own" / "mine.py")
    code = code_record("mine", {"provided": loaded, "loaded": loaded}, time.time(), CodeReader())
    assert list(code["files"]) == ["mine.py"]


def test_an_edited_function_is_named_and_a_comment_is_not(project, record):
    edit(project, "lmexp/rows.py", "return LIMIT", "return LIMIT  # rows")
    assert changed_since(record, CodeReader()) == []
    edit(project, "lmexp/rows.py", "return LIMIT", "return LIMIT + 1")
    assert changed_since(record, CodeReader()) == ["rows.py fit"]


def test_the_users_own_code_is_named_first_and_the_engine_last(project, record):
    edit(project, "lmexp/core/engine.py", "return 1", "return 2")
    edit(project, "lmexp/rows.py", "return 2", "return 3")
    edit(project, "own/helpers.py", "return 0", "return 1")
    edit(project, "lmexp/rows.py", "LIMIT = 3", "LIMIT = 4")
    found = changed_since(record, CodeReader())
    assert found == ["helpers.py total", "rows.py LIMIT", "rows.py cut", "core/engine.py run"]
    assert named(found) == "helpers.py total, rows.py LIMIT, rows.py cut and 1 more"
    assert named(found[:3]) == "helpers.py total, rows.py LIMIT, rows.py cut"


def test_a_function_that_moved_has_not_changed_and_one_that_is_gone_has(project, record):
    edit(project, "lmexp/rows.py", "def cut():\n    return 2\n", "")
    assert changed_since(record, CodeReader()) == ["rows.py cut"]
    (project / "lmexp" / "elsewhere.py").write_text("def cut():\n    return 2\n")
    assert changed_since(record, CodeReader()) == []
    edit(project, "lmexp/elsewhere.py", "return 2", "return 3")
    assert changed_since(record, CodeReader()) == ["rows.py cut"]


def test_a_file_that_is_gone_or_is_no_python_any_more_has_changed(project, record):
    (project / "own" / "helpers.py").unlink()
    (project / "lmexp" / "stages" / "first.py").write_text("def broken(:")
    assert changed_since(record, CodeReader()) == ["helpers.py total", "stages/first.py First"]


def test_code_that_another_function_was_added_to_has_not_changed(project, record):
    edit(project, "lmexp/rows.py", "def cut", "def new():\n    return 5\n\ndef cut")
    assert changed_since(record, CodeReader()) == []


def test_a_record_without_code_is_silent(project):
    assert changed_since({}, CodeReader()) == []


def test_under_another_python_only_that_is_said(project, record):
    edit(project, "lmexp/rows.py", "return 2", "return 3")
    record["code"]["python"] = "3.9"
    assert changed_since(record, CodeReader()) == ["Python 3.9, under which functions cannot be compared"]


def test_a_file_that_was_edited_while_the_stage_ran_is_recorded_as_unknown(project):
    loaded = modules(project, "lmexp.rows")
    started = time.time()
    os.utime(project / "lmexp" / "rows.py", (started + 5, started + 5))
    code = code_record("lmexp.rows", {"provided": loaded, "loaded": loaded}, started, CodeReader())
    assert code["files"] == {"lmexp/rows.py": None}
    assert changed_since({"code": code}, CodeReader()) == ["rows.py (edited while it ran)"]


def test_files_are_read_once_and_again_when_they_change(project, monkeypatch):
    memory, path = project / "cache" / "code.json", project / "lmexp" / "rows.py"
    reader = CodeReader(memory)
    before = reader.functions(path)
    reader.save()
    monkeypatch.setattr(drift, "_summary", None)  # a call of it would fail
    assert CodeReader(memory).functions(path) == before
    monkeypatch.undo()
    path.write_text(path.read_text().replace("return 2", "return 3"))
    now = CodeReader(memory).functions(path)
    assert {name for name in before if now[name] != before[name]} == {"cut"}


def test_a_file_whose_name_is_not_utf8_is_read_and_not_remembered(project):
    memory, path = project / "code.json", project / "lmexp" / "rows.py"
    odd = path.with_name(os.fsdecode(b"caf\xe9.py"))
    odd.write_bytes(path.read_bytes())
    reader = CodeReader(memory)
    assert reader.functions(odd) == reader.functions(path)
    reader.save()
    assert list(read_sealed(memory)) == [str(path)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "null"])
def test_a_damaged_memory_is_not_believed(project, text):
    memory, path = project / "code.json", project / "lmexp" / "rows.py"
    reader = CodeReader(memory)
    expected = reader.functions(path)
    reader.save()
    memory.write_text(text or memory.read_text().replace(expected["cut"], "0" * 12))
    assert CodeReader(memory).functions(path) == expected
