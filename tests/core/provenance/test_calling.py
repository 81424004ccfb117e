"""Commands are printed as their user has begun them; records hold the neutral form."""

import importlib.metadata
import shlex
import sys
from pathlib import Path

import pytest

from lmexp.core.provenance import calling
from lmexp.core.provenance.calling import install, run_words, verb, version

PACKAGE = Path(calling.__file__).resolve().parents[2]


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Stand for a process that was started with these words, where the shell finds what `found` says."""

    def start(argv0, *, typed="python", found=None):
        names = {typed: typed, **(found or {})}
        monkeypatch.setattr(sys, "argv", [str(argv0), "x"])
        monkeypatch.setattr(sys, "orig_argv", [typed, str(argv0), "x"])
        monkeypatch.setattr(calling.shutil, "which", names.get)
        monkeypatch.chdir(tmp_path)

    return start


@pytest.mark.parametrize(
    ("argv0", "typed", "found", "recorded", "shown", "ls"),
    [
        (
            PACKAGE / "run.py",
            "python3",
            {},
            "python -m lmexp.run",
            "python3 -m lmexp.run",
            "python3 -m lmexp ls",
        ),
        (PACKAGE / "__main__.py", "py", {}, "python -m lmexp run", "py -m lmexp run", "py -m lmexp ls"),
        ("/opt/b/lmexp", "x", {"lmexp": "/opt/b/lmexp"}, "lmexp run", "lmexp run", "lmexp ls"),
        ("/my apps/lmexp", "x", {}, "lmexp run", "'/my apps/lmexp' run", "'/my apps/lmexp' ls"),
        ("/usr/bin/pytest", "gone", {"gone": None}, "python -m lmexp.run", "python -m lmexp.run", "lmexp ls"),
        ("/elsewhere/run.py", "python", {}, "python -m lmexp.run", "python -m lmexp.run", "lmexp ls"),
    ],
)
def test_a_command_is_spelled_as_it_was_called(started, argv0, typed, found, recorded, shown, ls):
    started(argv0, typed=typed, found=found)
    assert shlex.join(run_words()) == recorded
    assert shlex.join(run_words(typed=True)) == shown
    assert verb("ls") == ls


def test_the_script_of_the_same_environment_is_named_alone(started):
    beside = str(Path(sys.executable).parent / "lmexp")
    started(PACKAGE / "run.py", found={"lmexp": beside})
    assert verb("ls") == "lmexp ls"
    started(PACKAGE / "run.py", found={"lmexp": "/another/lmexp"})
    assert verb("ls") == "python -m lmexp ls"


def test_a_verb_names_its_store_unless_it_is_the_default_one(started, tmp_path, monkeypatch):
    started("/usr/bin/other")
    assert verb("gc", store=tmp_path / "outputs") == "lmexp gc"
    assert verb("gc", "--keep", "a b", store=tmp_path / "x=é") == (
        f"lmexp gc --keep 'a b' \"store='{tmp_path / 'x=é'}'\""
    )
    monkeypatch.setenv("LMEXP_STORE", str(tmp_path / "x"))
    assert verb("gc", store=tmp_path / "x") == "lmexp gc"


def test_the_version_is_that_of_the_installed_package():
    assert version() == importlib.metadata.version("lmexp")


def test_an_optional_package_is_installed_where_lmexp_is(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert shlex.split(install("tiktoken")) == ["pip", "install", "tiktoken<1,>=0.12"]
    assert install("no-such-thing") == "pip install no-such-thing"
    (tmp_path / "uv-receipt.toml").touch()
    assert shlex.split(install("tiktoken"))[:5] == ["uv", "pip", "install", "--python", sys.executable]
    (tmp_path / "pipx_metadata.json").touch()
    assert shlex.split(install("tiktoken")) == ["pipx", "inject", "lmexp", "tiktoken<1,>=0.12"]
