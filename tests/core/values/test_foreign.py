"""Files of somebody else: read whole, or refused in the sentence that names what they are."""

import os
import socket
from pathlib import Path

import pytest

from lmexp.core.values import foreign
from lmexp.core.values.foreign import file_inside, read_object
from lmexp.errors import DataError


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "cannot be read as JSON: Expecting value"),
        (b'{"a": ', "it is damaged, or cut short"),
        (b"[1]", "must hold a JSON object, holds a list"),
        (b"null", "must hold a JSON object, holds a NoneType"),
        (b'{"a": "\xff"}', "is not UTF-8 at byte 7"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "the key 'b' is there twice"),
        (b"[" * 200_000, "is nested too deeply"),
        (b'{"a": ' * 200_000, "is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused_in_a_sentence(tmp_path, raw, sentence):
    path = tmp_path / "it.json"
    path.write_bytes(raw)
    with pytest.raises(DataError) as error:
        read_object(path)
    assert sentence in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_an_object_is_read_with_or_without_a_mark_of_its_encoding(tmp_path):
    path = tmp_path / "it.json"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + '{"é": [{"x": 1}, {"x": 2}], "n": 1e3}'.encode())
        assert read_object(path) == {"é": [{"x": 1}, {"x": 2}], "n": 1000.0}


def test_a_file_is_as_large_as_it_may_be_and_no_larger(tmp_path, monkeypatch):
    path = tmp_path / "it.json"
    path.write_bytes(b'{"a": 1}')
    monkeypatch.setattr(foreign, "MOST_BYTES", 8)
    assert read_object(path) == {"a": 1}
    assert file_inside(tmp_path, "it.json") == path
    path.write_bytes(b'{"a": 1} ')
    for read in (lambda: read_object(path), lambda: file_inside(tmp_path, "it.json")):
        with pytest.raises(DataError, match=r"it\.json has 9 bytes; at most 8 are read"):
            read()
    (tmp_path / "weights.bin").write_bytes(b"123456789")
    assert file_inside(tmp_path, "weights.bin") == tmp_path / "weights.bin", "of JSON alone"


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "is a directory; a file is expected there"),
        (os.mkfifo, "is a named pipe; a file is expected there"),
        (a_socket, "is a socket; a file is expected there"),
        (lambda path: path.symlink_to("gone"), "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_file_is_refused_unopened(tmp_path, monkeypatch, make, kind):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("x"))
    for read in (lambda: read_object(Path("x")), lambda: file_inside(Path(), "x")):
        with pytest.raises(DataError, match=f"^x {kind}"):
            read()


def test_a_device_is_refused_unopened():
    with pytest.raises(DataError, match="/dev/null is a device"):
        read_object(Path("/dev/null"))


def test_a_missing_file_is_none_and_not_an_error_until_it_is_read(tmp_path):
    assert file_inside(tmp_path, "x") is None
    with pytest.raises(DataError, match=r"x cannot be read: No such file or directory\.$"):
        read_object(tmp_path / "x")


@pytest.mark.parametrize(
    ("folder", "target", "followed"),
    [
        ("model", "other", True),
        ("model", "inner/../other", True),
        ("model", "../model/other", True),
        ("model", "../outside", False),
        ("model", "/etc/hostname", False),
        ("models--a/snapshots/1", "../../blobs/b", True),
        ("models--a/snapshots/1", "../../outside", False),
        ("models--a/snapshots/1", "../2/other", False),
        ("models--a/snapshots/1", "../../../models--c/blobs/b", False),
        ("models--a/snapshots/1", "../../blobs/../outside", False),
        ("models--a/other/1", "../../blobs/b", False),
        ("spaces--a/snapshots/1", "../../blobs/b", False),
    ],
)
def test_a_link_is_followed_within_its_folder_and_to_its_own_repositorys_blobs(
    tmp_path, folder, target, followed
):
    root = tmp_path / folder
    for path in (root / "other", root / "inner" / "x", tmp_path / "outside"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (root / "link").symlink_to(target)
    end = Path(os.path.realpath(root / "link"))
    if not end.exists():
        end.parent.mkdir(parents=True, exist_ok=True)
        end.write_text("{}")
    if followed:
        assert file_inside(root, "link") == root / "link"
    else:
        with pytest.raises(DataError, match=f"link is a link to {end}, out of its folder"):
            file_inside(root, "link")
