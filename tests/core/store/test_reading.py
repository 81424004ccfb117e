"""What a process has read of its inputs is remembered by their directories."""

from pathlib import Path

from lmexp.core.store.reading import note_read, parts_read


def test_parts_are_those_of_the_same_directory_however_it_is_spelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    note_read(tmp_path / "corpus", "train")
    note_read(Path("corpus"), "test")
    note_read(Path("corpus"), "test")
    note_read(tmp_path / "other", "validation")
    assert parts_read(tmp_path / "corpus") == ["test", "train"]
    assert parts_read(Path("other")) == ["validation"]
    assert parts_read(tmp_path / "nothing") == []
