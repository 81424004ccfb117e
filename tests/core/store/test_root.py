import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from lmexp.core.provenance.own import PACKAGE
from lmexp.core.store.root import make_store, require_store
from lmexp.core.store.store import Store
from lmexp.errors import ConfigError

MARKER = "lmexp-store.json"


def listing(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*"))


@pytest.mark.parametrize(
    "make", ["new", "empty", "kept by git", "left by another starter", "a link to an empty one"]
)
def test_a_new_or_an_empty_directory_becomes_a_store(tmp_path, make):
    root = tmp_path / "a" / "store"
    if make != "new":
        root.mkdir(parents=True)
    if make == "kept by git":
        (root / ".gitignore").write_text("*\n")
    if make == "left by another starter":
        (root / f".{MARKER}.0123abcd.tmp").write_text("")
    if make == "a link to an empty one":
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    make_store(root)
    require_store(root)
    assert json.loads((root / MARKER).read_text()) == {"format": 1}
    (root / "artifacts").mkdir()
    make_store(root)


@pytest.mark.parametrize(
    "holds",
    [
        ["trash/photo.jpg"],
        ["cache/x"],
        ["runs/x"],
        [".git/config"],
        ["2024-01-01/run.log"],
        ["artifacts/a/b"],
    ],
)
def test_a_directory_of_something_else_is_no_store_and_stays_as_it_is(tmp_path, holds):
    for name in holds:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("of somebody else")
    before = listing(tmp_path)
    with pytest.raises(
        ConfigError, match=r"no store of lmexp and is not empty \(it holds '.*empty directory"
    ):
        Store(tmp_path).prepare()
    assert Store(tmp_path).hasher.cache is None, "nothing is remembered where there is no store"
    Store(tmp_path).hasher.save()
    Store(tmp_path).code.save()
    assert listing(tmp_path) == before


def test_a_store_that_lost_its_marker_is_told_how_to_get_it_back(tmp_path):
    root = tmp_path / "with a space"
    make_store(root)
    for name in ("artifacts", "runs"):
        (root / name).mkdir()
    (root / MARKER).unlink()
    with pytest.raises(ConfigError, match="lost its marker") as error:
        make_store(root)
    command = str(error.value).partition("write it anew: ")[2].rstrip(".")
    words = shlex.split(command)
    assert words[:1] + words[2:] == ["echo", ">", str(root / MARKER)]
    os.system(command)  # noqa: S605 - it is what a person is told to paste
    make_store(root)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": "1"}', "\0"])
def test_a_store_of_another_version_or_with_a_damaged_marker_is_refused(tmp_path, text):
    make_store(tmp_path / "store")
    (tmp_path / "store" / MARKER).write_text(text)
    for use in (make_store, require_store):
        with pytest.raises(ConfigError, match=r"lmexp-store\.json is not .*of another version.*or write it"):
            use(tmp_path / "store")


def test_a_marker_that_is_a_directory_is_none(tmp_path):
    (tmp_path / MARKER).mkdir()
    with pytest.raises(ConfigError, match="is not empty"):
        make_store(tmp_path)
    with pytest.raises(ConfigError, match="there is no store"):
        require_store(tmp_path)


def test_a_file_a_dangling_link_and_the_package_are_no_place_for_a_store(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "inside").symlink_to(PACKAGE / "outputs")
    for root, words in (
        (tmp_path / "file", "is a file; give a directory"),
        (tmp_path / "file" / "below", "cannot be written"),
        (tmp_path / "dangling", "cannot be written"),
        (PACKAGE / "outputs", "lmexp's own package"),
        (PACKAGE, "lmexp's own package"),
        (tmp_path / "inside", "lmexp's own package"),
        (Path("/"), "not empty|cannot be written"),
        (Path.home(), "not empty|cannot be written"),
    ):
        with pytest.raises(ConfigError, match=words):
            make_store(root)
    assert not (PACKAGE / "outputs").exists()


def test_a_directory_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"cannot be written \(permission denied\)"):
        make_store(tmp_path)


def test_of_two_that_make_the_same_store_neither_takes_it_for_something_else(tmp_path, monkeypatch):
    listdir = os.listdir

    def meanwhile(path):
        monkeypatch.undo()
        make_store(tmp_path)
        (tmp_path / "runs").mkdir()
        return listdir(path)

    monkeypatch.setattr(os, "listdir", meanwhile)
    make_store(tmp_path)
    assert listing(tmp_path) == [MARKER, "runs"]
    assert json.loads((tmp_path / MARKER).read_text()) == {"format": 1}


def test_an_empty_home_is_no_store_either(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="nobody's own place"):
        make_store(tmp_path)
    assert listing(tmp_path) == []
    make_store(tmp_path / "outputs")


def test_the_store_that_the_checkout_ships_can_be_used(tmp_path):
    (tmp_path / "outputs").mkdir()
    shutil.copy(Path(__file__).resolve().parents[3] / "outputs" / ".gitignore", tmp_path / "outputs")
    make_store(tmp_path / "outputs")
    require_store(tmp_path / "outputs")
    assert listing(tmp_path / "outputs") == [".gitignore", MARKER]
