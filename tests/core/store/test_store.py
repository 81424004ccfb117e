import hashlib
import os
import shutil
from pathlib import Path

import pytest

from lmexp.core.store.store import Store
from lmexp.core.values.files import _signature, read_json
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import ConfigError, LeaseLost, StageError, VerificationError


def published(
    store: Store, text: str = "hello", fingerprint: str = "ab" * 32, files=None, replaces=None, **more
):
    """Publish an artifact; `more` is what its record says besides, and `check`."""
    out = store.root / "scratch" / "x" / "out"
    for name, content in (files or {"part/a.txt": text}).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(content)
    check = more.pop("check", lambda: None)
    data = {"stage": "s", "label": "one", "fingerprint": fingerprint, "metrics": {}, "finished": "2026"}
    data |= {"content": {}, **more}
    return store.publish(out, data, replaces=replaces, check=check)


def test_an_artifact_is_found_by_its_fingerprint_and_lists_every_file(store):
    record = published(store)
    assert record.path == store.root / "artifacts" / "s" / f"one-{'ab' * 6}"
    found = store.find("s", "ab" * 32)
    assert found is not None
    assert found.data == record.data
    assert found.data["files"]["part/a.txt"]["size"] == 5
    assert store.find("s", "ab" * 6 + "0" * 52) is None


def test_a_second_writer_of_the_same_artifact_is_fenced_off(store):
    published(store)
    with pytest.raises(LeaseLost, match="published by another process"):
        published(store, "other")
    assert (store.find("s", "ab" * 32).path / "part" / "a.txt").read_text() == "hello"


def test_an_identical_replacement_keeps_the_old_artifact(store):
    first = published(store)
    inode = (first.path / "artifact.json").stat().st_ino
    published(store, replaces=first)
    assert (first.path / "artifact.json").stat().st_ino == inode
    assert not (store.root / "trash").exists()


def test_only_times_that_differ_leave_the_old_artifact_as_it_was(store):
    first = published(store, files={"a": "1", "metrics.jsonl": "then"})
    again = published(store, files={"a": "1", "metrics.jsonl": "now"}, replaces=first, finished="later")
    assert again is first
    assert (first.path / "metrics.jsonl").read_text() == "then"
    assert not (store.root / "scratch" / "x" / "out").exists()
    assert not (store.root / "trash").exists()
    fewer = published(store, files={"a": "1", "b": ""}, replaces=first)
    assert fewer.content_hashes().keys() == {"a", "b"}
    assert len(list((store.root / "trash").iterdir())) == 1


@pytest.mark.parametrize("damage", ["a file is another", "a file is gone", "a foreign file"])
def test_an_identical_replacement_of_a_damaged_artifact_takes_its_place(store, damage):
    first = published(store, files={"a": "1", "b": "2"})
    if damage == "a file is another":
        (first.path / "a").write_text("7")
    elif damage == "a file is gone":
        (first.path / "a").unlink()
    else:
        (first.path / "c").write_text("")
    second = published(store, files={"a": "1", "b": "2"}, replaces=first)
    assert second is not first
    assert store.problems(second) == []
    assert store.find("s", "ab" * 32).data == second.data
    assert len(list((store.root / "trash").iterdir())) == 1


def test_a_different_replacement_moves_the_old_artifact_to_the_trash(store):
    first = published(store)
    second = published(store, "other", replaces=first)
    assert (second.path / "part" / "a.txt").read_text() == "other"
    assert [p.read_text() for p in (store.root / "trash").glob("*/part/a.txt")] == ["hello"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.write_text("jello"), "other bytes"),
        (lambda p: p.write_text("hell"), "4 bytes instead of 5"),
        (lambda p: p.unlink(), "is missing"),
    ],
)
def test_damage_is_named_and_refused_with_the_remedy(store, damage, words):
    record = published(store)
    assert store.problems(record) == []
    damage(record.path / "part" / "a.txt")
    assert len(store.problems(record)) == 1
    assert words in store.problems(record)[0]
    with pytest.raises(VerificationError, match=r"a\.txt.*force=\[model\]"):
        store.require_intact(record, "model")


def place(store: Store, kind: str) -> Path:
    """Put something that is no artifact where one is published."""
    path = store.root / "artifacts" / "s" / f"one-{'ab' * 6}"
    if kind == "record deleted":
        (published(store).path / "artifact.json").unlink()
    elif kind == "file of a network file system":
        path.mkdir(parents=True)
        (path / ".nfs0000001").write_text("")
    elif kind == "empty":
        path.mkdir(parents=True)
    elif kind == "file":
        path.parent.mkdir(parents=True)
        path.write_text("")
    elif kind == "record is a directory":
        (path / "artifact.json").mkdir(parents=True)
    elif kind == "another artifact":
        published(store, fingerprint="cd" * 32).path.rename(path)
    elif kind == "another stage":
        other = published(store).path
        other.parent.rename(other.parent.with_name("t"))
        (store.root / "artifacts" / "s").mkdir()
        (store.root / "artifacts" / "t" / other.name).rename(path)
        record = read_json(path / "artifact.json")
        record.pop("record_sha256")
        write_sealed(path / "artifact.json", {**record, "stage": "t"})
    return path


TAKEN = [
    "record deleted",
    "file of a network file system",
    "empty",
    "file",
    "record is a directory",
    "another artifact",
    "another stage",
]


@pytest.mark.parametrize("kind", TAKEN)
def test_a_name_that_is_taken_is_not_an_artifact_that_is_published(store, kind):
    path = place(store, kind)
    assert store.records() == []
    (damaged,) = store.damaged_records()
    assert str(path) in damaged
    with pytest.raises(VerificationError, match=r"force=\[mine\]"):
        store.find("s", "ab" * 32, "mine")
    with pytest.raises(VerificationError):
        published(store)
    store.discard_damaged("s", "ab" * 32)
    assert store.damaged_records() == []
    assert published(store).path == path
    assert len(list((store.root / "trash").iterdir())) == 1


def test_what_lies_beside_the_artifacts_is_named(store):
    published(store)
    assert store.damaged_records() == []
    (store.root / "artifacts" / "notes.txt").write_text("")
    (store.root / "artifacts" / "s" / "notes.txt").write_text("")
    assert [
        str(store.root / "artifacts" / name) in text
        for name, text in zip(("notes.txt", "s/notes.txt"), store.damaged_records(), strict=True)
    ] == [True, True]
    assert len(store.records()) == 1


def test_an_artifact_that_goes_while_the_newest_are_looked_for_is_passed_over(store):
    kept = published(store)
    (store.root / "artifacts" / "s" / "gone").symlink_to("nowhere")
    assert store.newest_records("s", 2) == [kept]


def test_a_file_that_was_not_published_is_a_problem(store):
    record = published(store)
    (record.path / "empty").mkdir()
    assert store.problems(record) == []
    (record.path / "part" / "artifact.json").write_text("{}")
    (record.path / "stray").symlink_to("part")
    assert [p.rpartition("/")[2] for p in store.problems(record)] == [
        "artifact.json was not published with it",
        "stray was not published with it",
    ]
    with pytest.raises(VerificationError, match=r"stray was not published.*force=\[s\]"):
        store.require_intact(record, "s")


def test_a_file_that_became_something_else_is_a_problem_and_never_read(store):
    record = published(store, text="")
    path = record.path / "part" / "a.txt"
    path.unlink()
    os.mkfifo(path)
    assert store.problems(record) == [f"{path} is no file any more"]
    path.unlink()
    path.mkdir()
    assert store.problems(record) == [f"{path} is no file any more"]


def test_a_record_further_down_is_a_file_like_any_other(store):
    record = published(store, files={"parts/base/artifact.json": "{}", "a": ""})
    assert set(record.data["files"]) == {"parts/base/artifact.json", "a"}
    (record.path / "parts" / "base" / "artifact.json").write_text("[]")
    assert len(store.problems(record)) == 1


def test_an_artifact_is_whole_by_itself(store, tmp_path):
    out = store.root / "scratch" / "x" / "out"
    out.mkdir(parents=True)
    (tmp_path / "outside").write_text("outside")
    (out / "link").symlink_to(tmp_path / "outside")
    record = published(store)
    assert not (record.path / "link").is_symlink()
    (tmp_path / "outside").write_text("changed")
    assert (record.path / "link").read_text() == "outside"
    assert store.problems(record) == []
    for name, make in (("gone", lambda p: p.symlink_to("nowhere")), ("pipe", os.mkfifo)):
        out.mkdir(parents=True)
        make(out / name)
        with pytest.raises(StageError, match=f"'{name}', which is no file"):
            published(store, fingerprint="cd" * 32)
        shutil.rmtree(out)


def test_a_hash_that_is_remembered_is_not_what_is_published(store):
    out = store.root / "scratch" / "x" / "out"
    out.mkdir(parents=True)
    (out / "a").write_text("hello")
    os.utime(out / "a", (1e9, 1e9))
    store.hasher._known[str(out / "a")] = [*_signature(out / "a"), "0" * 64]
    assert published(store).data["files"]["a"]["sha256"] == hashlib.sha256(b"hello").hexdigest()


def test_what_is_published_is_checked_last(store):
    def refuse():
        raise LeaseLost("lost")

    old = published(store)
    with pytest.raises(LeaseLost):
        published(store, text="other", replaces=old, check=refuse)
    assert (old.path / "part" / "a.txt").read_text() == "hello"
    with pytest.raises(LeaseLost):
        published(store, fingerprint="cd" * 32, check=refuse)
    assert [r.fingerprint for r in store.records()] == ["ab" * 32]


def test_an_artifact_that_has_another_label_is_published_all_the_same(store):
    record = published(store)
    record.path.rename(record.path.with_name(f"two-{'ab' * 6}"))
    with pytest.raises(LeaseLost):
        published(store)


def test_whoever_may_read_the_store_may_read_what_a_library_wrote_for_one_user(store):
    out = store.root / "scratch" / "private"
    out.mkdir(parents=True)
    (out / "weights").write_text("1")
    (out / "weights").chmod(0o600)
    out.chmod(0o755)
    record = store.publish(out, {"stage": "s", "label": "l", "fingerprint": "cd" * 32})
    assert (record.path / "weights").stat().st_mode & 0o777 == 0o644
    assert store.problems(record) == []


def test_a_store_that_cannot_be_created_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written.*store=PATH"):
        Store(tmp_path / "file" / "store").prepare()


def test_records_are_chosen_by_the_names_of_their_directories(store):
    made = [published(store, fingerprint=letters * 32) for letters in ("ab", "cd", "ef")]
    wanted = store.records_where(lambda stage, name: stage == "s" and name.endswith("cdcd"))
    assert [r.fingerprint for r in wanted] == [made[1].fingerprint]
    assert store.names("s", "ef" * 6) == [made[2].name]
    assert store.names("s") == sorted(r.name for r in made)
    assert store.names("none") == []
    (store.root / "artifacts" / "stray").write_text("a file")
    assert store.names("stray") == []
    assert len(store.records()) == 3
