import os

import pytest

from lmexp.core.graph.stage import Artifact
from lmexp.core.store.record import files_in, intact_file, listed_files, read_record, require_published
from lmexp.errors import VerificationError

from .test_store import published


def test_readers_are_given_what_the_record_lists_and_nothing_else(store):
    record = published(store, files={"train-00000.bin": "0", "train-00001.bin": "1", "part/train-2.bin": "2"})
    (record.path / "train-00002.bin").write_text("of somebody else")
    (record.path / "part" / "train-3.bin").write_text("of somebody else")
    names = [p.relative_to(record.path).as_posix() for p in listed_files(record.path, "train-*.bin")]
    assert names == ["train-00000.bin", "train-00001.bin"]
    assert Artifact(record.path).files("part/*") == [record.path / "part" / "train-2.bin"]
    assert listed_files(record.path, "artifact.json") == []


def test_of_a_directory_that_is_not_published_yet_all_files_are_its_own(tmp_path):
    (tmp_path / "b.bin").write_text("")
    (tmp_path / "a.bin").write_text("")
    (tmp_path / "c.txt").write_text("")
    assert [p.name for p in listed_files(tmp_path, "*.bin")] == ["a.bin", "b.bin"]


def test_of_an_artifact_whose_record_is_damaged_nothing_is_read(store):
    record = published(store)
    for text in ("", "[]", "{}", '{"files": {}}'):
        (record.path / "artifact.json").write_text(text)
        with pytest.raises(VerificationError, match="not as it was published"):
            listed_files(record.path)


def test_a_file_is_read_as_it_was_published_or_not_at_all(store):
    record = published(store, files={"a": "1", "b": "2"})
    assert intact_file(record.path, "a") == record.path / "a"
    require_published(record.path)
    require_published(record.path.parent)
    (record.path / "c").write_text("of somebody else")
    assert intact_file(record.path, "c") is None
    (record.path / "a").write_text("7")
    with pytest.raises(VerificationError, match=r"/a is not as it was published"):
        intact_file(record.path, "a")
    with pytest.raises(VerificationError, match=r"/a is not as it was published"):
        require_published(record.path)
    (record.path / "b").unlink()
    with pytest.raises(VerificationError, match=r"/b is not as it was published"):
        intact_file(record.path, "b")
    (record.path / "artifact.json").unlink()
    assert intact_file(record.path, "b") is None, "of what is no artifact nothing is read"
    with pytest.raises(VerificationError, match=r"holds no artifact\.json"):
        read_record(record.path)
    (record.path / "artifact.json").symlink_to("nowhere")
    with pytest.raises(VerificationError, match=r"holds no artifact\.json"):
        intact_file(record.path, "b")


def test_files_are_all_that_is_no_directory(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "file").write_text("")
    (tmp_path / "folder" / "artifact.json").write_text("")
    (tmp_path / "artifact.json").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = ["folder/artifact.json", "folder/deep/file", "gone", "link", "pipe"]
    assert files_in(tmp_path) == found
