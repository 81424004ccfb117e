"""Kinds come and go with the extensions that are active; what was built of them stays what it was."""

import os
import sys
from types import SimpleNamespace

import pytest

from lmexp.core.graph.extensions import activate, activate_given, changed_extensions, extended
from lmexp.core.values.config import Config, build, dotted_names, identity, option, to_dict
from lmexp.core.values.one_of import OneOf
from lmexp.core.values.registered import active_files
from lmexp.errors import ConfigError


class Ring(Config):
    radius: int = option(1)


TEXT = """
from bodies import BODIES, Config, option

class {cls}(Config):
    size: int = option({size})

    def volume(self):
        return self.size ** {power}

BODIES.register("{name}", {cls}, base=Config)
"""


@pytest.fixture
def bodies(monkeypatch):
    """A union, that files may import, and a configuration that holds one and a mapping of others."""
    union = OneOf(key="form", kinds={"ring": Ring}, unnamed="ring")
    monkeypatch.setitem(sys.modules, "bodies", SimpleNamespace(BODIES=union, Config=Config, option=option))

    class Scene(Config):
        body: Config = option(Ring(), one_of=union)
        others: dict = option(each_of=union)

    yield SimpleNamespace(union=union, scene=Scene)
    activate([])


@pytest.fixture
def write(tmp_path):
    def write(file, name, size=3, cls="Cube", power=3):
        path = tmp_path / file
        path.write_text(TEXT.format(cls=cls, name=name, size=size, power=power))
        return path

    return write


def kinds(bodies):
    return list(bodies.union.kinds)


def test_only_the_active_extensions_have_kinds_and_a_configuration_outlives_them(bodies, write):
    one, two = write("one.py", "one"), write("two.py", "two", cls="Ball")
    activate([one])
    assert kinds(bodies) == ["ring", "one"]
    scene = build(bodies.scene, {"body": {"form": "one", "size": 4}, "others": {"a": {"form": "one"}}})
    assert "body.size" in dotted_names(bodies.scene)
    before = (to_dict(scene), identity(scene), extended(scene))
    activate([two])
    assert kinds(bodies) == ["ring", "two"]
    assert active_files() == (two,)
    assert (to_dict(scene), identity(scene), extended(scene)) == before
    (found,) = before[2]
    assert found.file == one
    assert found.kinds == {"body.form": "one", "others.a.form": "one"}
    with pytest.raises(ConfigError, match=r"must be one of ring, two, was 'one'; \S+/one\.py defines it"):
        build(bodies.scene, {"body": {"form": "one"}})
    activate([one, two])
    assert kinds(bodies) == ["ring", "one", "two"]
    assert build(bodies.scene, to_dict(scene)) == scene  # no class was made anew
    assert extended(bodies.scene()) == []


def test_an_extension_that_was_edited_is_imported_again_and_loses_what_it_registers_no_more(bodies, write):
    activate([write("one.py", "one")])
    path = write("one.py", "other", size=77)
    os.utime(path, ns=(1, 1))
    activate([path])
    assert kinds(bodies) == ["ring", "other"]
    assert build(bodies.scene, {"body": {"form": "other"}}).body.size == 77
    activate([path, path])  # named twice is named once
    assert kinds(bodies) == ["ring", "other"]


def test_an_extension_that_fails_leaves_no_kind_of_any(bodies, write):
    good, bad = write("good.py", "good"), write("bad.py", "good")
    with pytest.raises(ConfigError, match=r"good\.py and .*bad\.py both register the form 'good'"):
        activate([good, bad])
    activate([])
    assert kinds(bodies) == ["ring"]
    assert active_files() == ()


def test_nothing_registers_without_a_file_and_odd_lists_are_the_builders_to_refuse(bodies):
    with pytest.raises(ConfigError, match="the form 'cube' is registered by no file; write it into one"):
        bodies.union.register("cube", Ring, base=Config)
    with pytest.raises(ConfigError, match=r"a list of files, was 'one\.py'; write extensions=\[one\.py\]"):
        activate_given({"extensions": "one.py"})
    for value in (None, 3, {"a": 1}, [3, None]):
        activate_given({"extensions": value})
        assert active_files() == ()


def test_what_changed_of_extensions_is_named_by_definition(bodies, write):
    def code(power, size=3):
        activate([write("one.py", "one", power=power, size=size)])
        return [{"code": found.code} for found in extended(build(bodies.scene, {"body": {"form": "one"}}))]

    three, four = code(3), code(44)
    assert changed_extensions(three, code(3, size=55)) == []  # a default is identity by its value
    assert changed_extensions(three, four) == ["Cube.volume"]
    assert set(changed_extensions([], three)) == {
        *("Cube", "Cube.volume", "(top level)"),
        *("import bodies.BODIES", "import bodies.Config", "import bodies.option"),
    }
