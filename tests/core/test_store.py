import pytest

from lmexp.core.store import Store
from lmexp.errors import ConfigError, LeaseLost, VerificationError


def published(store: Store, text: str = "hello", fingerprint: str = "ab" * 32, **kwargs):
    out = store.root / "scratch" / "x" / "out"
    out.mkdir(parents=True, exist_ok=True)
    (out / "part").mkdir(exist_ok=True)
    (out / "part" / "a.txt").write_text(text)
    data = {"stage": "s", "label": "one", "fingerprint": fingerprint, "metrics": {}, "finished": "2026"}
    return store.publish(out, data, **kwargs)


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


def test_a_directory_without_a_record_is_not_an_artifact(store):
    (store.root / "artifacts" / "s" / "half-abababababab").mkdir(parents=True)
    assert store.records() == []
    assert store.find("s", "ab" * 32) is None


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
