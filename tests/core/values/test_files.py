import hashlib
import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmexp.core.values import files
from lmexp.core.values.files import (
    FileHasher,
    LineFollower,
    append_line,
    is_memory,
    parse_json,
    read_json,
    read_lines,
    write_json,
)


def test_writing_replaces_the_whole_file_and_leaves_no_neighbour(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": 2})
    assert read_json(path) == {"b": 2}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_torn_last_line_is_not_read(tmp_path):
    path = tmp_path / "a.jsonl"
    append_line(path, {"step": 1})
    with path.open("a") as file:
        file.write('{"step": 2')
    assert list(read_lines(path)) == [{"step": 1}]


def test_lines_of_several_writers_never_mix(tmp_path):
    path = tmp_path / "a.jsonl"
    writers = [
        threading.Thread(target=lambda: [append_line(path, {"text": "x" * 500}) for _ in range(200)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(list(read_lines(path))) == 800


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    reads = []
    real = files.sha256_file
    monkeypatch.setattr(files, "sha256_file", lambda p: reads.append(p) or real(p))
    hasher = FileHasher(tmp_path / "memory.json")
    assert hasher(path) == hasher(path) == hashlib.sha256(b"one").hexdigest()
    hasher.save()
    assert FileHasher(tmp_path / "memory.json")(path) == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 1
    path.write_bytes(b"two")
    assert FileHasher(tmp_path / "memory.json")(path) == hashlib.sha256(b"two").hexdigest()


def test_a_change_that_restores_the_modification_time_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    old = time.time() - 100
    os.utime(path, (old, old))
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(path)
    path.write_bytes(b"two")
    os.utime(path, (old, old))
    assert hasher(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_was_just_written_is_not_remembered(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(path)
    hasher.save()
    assert not (tmp_path / "memory.json").exists()


@pytest.mark.parametrize("damage", ["digit", "size", "key", "", "[]", "{}", '{"known": 1}', "old form"])
def test_a_memory_that_was_changed_is_forgotten_and_written_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    path, memory = tmp_path / "a.bin", tmp_path / "memory.json"
    path.write_bytes(b"one")
    right = hashlib.sha256(b"one").hexdigest()
    hasher = FileHasher(memory)
    hasher(path)
    hasher.save()
    assert is_memory(memory)
    whole = memory.read_text()
    if damage == "digit":
        memory.write_text(whole.replace(right, right[:-1] + ("0" if right[-1] != "0" else "1")))
    elif damage == "size":
        memory.write_text(whole.replace(f"{path.stat().st_ino}", f"{path.stat().st_ino + 1}"))
    elif damage == "key":
        memory.write_text(whole.replace("a.bin", "b.bin"))
    elif damage == "old form":
        memory.write_text(json.dumps({str(path): [*files._signature(path), "0" * 64]}))
    else:
        memory.write_text(damage)
    assert not is_memory(memory)
    hasher = FileHasher(memory)
    assert hasher(path) == right
    hasher.save()
    assert memory.read_text() == whole
    (tmp_path / "memory.json").unlink()
    (tmp_path / "memory.json").mkdir()
    hasher = FileHasher(memory)
    assert hasher(path) == right
    hasher.save()


def test_what_is_gone_is_forgotten_and_what_was_not_learnt_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"one")
    hasher = FileHasher(tmp_path / "memory.json")
    for name in ("a", "b"):
        hasher(tmp_path / name)
    (tmp_path / "b").unlink()
    hasher.save()
    assert list(read_json(tmp_path / "memory.json")["known"]) == [str(tmp_path / "a")]
    before = (tmp_path / "memory.json").stat().st_mtime_ns
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(tmp_path / "a")
    hasher.save()
    assert (tmp_path / "memory.json").stat().st_mtime_ns == before
    assert hasher.cache == tmp_path
    assert FileHasher().cache is None


@pytest.mark.parametrize("torn", ["", '{"a": 1}', "\n", '{"a": 1}\n{"b'])
def test_a_line_begins_where_a_torn_one_ends(tmp_path, torn):
    path = tmp_path / "a.jsonl"
    path.write_text(torn)
    append_line(path, {"c": 3})
    assert path.read_text() == torn + ("" if torn in ("", "\n") else "\n") + '{"c": 3}\n'
    assert list(read_lines(path))[-1] == {"c": 3}


def test_a_growing_file_is_followed_line_by_whole_line(tmp_path):
    path = tmp_path / "a.jsonl"
    follower = LineFollower(path)
    assert follower.new() == []
    append_line(path, {"step": 1})
    with path.open("a") as file:
        file.write('{"text": "h\u00e9')
    assert follower.new() == [{"step": 1}]
    assert follower.new() == []
    with path.open("a") as file:
        file.write('llo"}\n')
    append_line(path, {"step": 3})
    assert follower.new() == [{"text": "h\u00e9llo"}, {"step": 3}]


DEEP = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 200_000, "", "nul", b"\xff", "1" * 5000, "[1] [2]"])
def test_what_is_no_json_is_a_value_error_however_deep_it_nests(tmp_path, text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"."):
        read_json(path)


def test_lines_that_are_no_objects_are_passed_over_by_both_readers_of_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    odd = [DEEP, "5", "[1]", "null", "nul", '{"step": "\xff', ""]
    lines = ['{"step": 1}', *odd, '{"step": 2, "é": "\\r"}']
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("latin-1"))
    kept = [{"step": 1}, {"step": 2, "\ufffd": "\r"}]
    assert list(read_lines(path)) == kept
    assert LineFollower(path).new() == kept


def test_json_of_files_is_read_in_one_place_alone():
    """`parse_json` knows what a damaged file can hold; `foreign` also refuses a key that stands twice."""
    source = Path(files.__file__).parents[2]
    readers = [
        p.name
        for p in source.rglob("*.py")
        if re.search(r"json\.loads?\((?!(self\._)?backend\.to_str)", p.read_text())
    ]
    assert sorted(readers) == ["files.py", "foreign.py"]


def test_a_file_whose_name_is_not_utf8_is_hashed_and_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    path, other = tmp_path / os.fsdecode(b"caf\xe9"), tmp_path / "café"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    hasher = FileHasher(tmp_path / "memory.json")
    assert (hasher(path), hasher(other)) == tuple(hashlib.sha256(d).hexdigest() for d in (b"one", b"two"))
    hasher.save()
    assert (tmp_path / "memory.json").exists()


SETTLED = 1_000_000_000.0
"""A moment, in seconds, of files that nobody has touched for long."""


def show(monkeypatch, path, stats):
    """Let a path have the last of these stats, and all others their own."""
    real = Path.stat
    monkeypatch.setattr(
        Path, "stat", lambda self, **options: stats[-1] if self == path else real(self, **options)
    )


def stat_of(path, *, modified=SETTLED, changed=SETTLED, **others):
    real = os.stat(path)
    fields = {name: getattr(real, name) for name in ("st_size", "st_ino", "st_dev")} | others
    return SimpleNamespace(
        **fields, st_mode=real.st_mode, st_mtime_ns=int(modified * 1e9), st_ctime_ns=int(changed * 1e9)
    )


@pytest.mark.parametrize(
    ("modified", "changed", "is_remembered"),
    [
        (-100.0, -100.0, True),
        (-1.0, -100.0, False),
        (-100.0, -1.0, False),  # its modification time was set back just now
        (-100.0, 100.0, False),  # the clock of the file's machine goes ahead
        (1000.0, -100.0, True),  # whoever wrote it has set a time to come, and nobody has touched it since
        (1.0, -100.0, False),
    ],
)
def test_a_file_is_known_only_where_another_change_would_show_in_its_times(
    tmp_path, monkeypatch, modified, changed, is_remembered
):
    path, now = tmp_path / "a.bin", time.time()
    path.write_bytes(b"one")
    stat = stat_of(path, modified=now + modified, changed=now + changed)
    show(monkeypatch, path, [stat])
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(path)
    hasher.save()
    monkeypatch.undo()
    assert is_memory(tmp_path / "memory.json") == is_remembered


def test_what_is_remembered_is_not_believed_of_a_file_that_seems_to_be_touched_now(tmp_path, monkeypatch):
    path, real_time = tmp_path / "a.bin", time.time
    path.write_bytes(b"one")
    old = stat_of(path)
    show(monkeypatch, path, [old])
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(path)
    path.write_bytes(b"two")
    assert hasher(path) == hashlib.sha256(b"one").hexdigest()  # no time shows it
    monkeypatch.setattr(files.time, "time", lambda: SETTLED + 1)  # the clock was set back to that moment
    assert hasher(path) == hashlib.sha256(b"two").hexdigest()
    monkeypatch.setattr(files.time, "time", real_time)


def test_a_change_while_a_file_is_read_for_long_is_not_missed(tmp_path, monkeypatch):
    """Within one tick of the clock its times stay as they are, and the read may end when they are old."""
    path, now = tmp_path / "a.bin", [SETTLED + 0.001]
    path.write_bytes(b"one")
    stat = stat_of(path)
    show(monkeypatch, path, [stat])
    monkeypatch.setattr(files.time, "time", lambda: now[0])
    real = files.sha256_file

    def slowly(one):
        value = real(one)
        one.write_bytes(b"two")
        now[0] += 60
        return value

    monkeypatch.setattr(files, "sha256_file", slowly)
    hasher = FileHasher(tmp_path / "memory.json")
    assert hasher(path) == hashlib.sha256(b"one").hexdigest()
    assert hasher(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("field", ["st_size", "st_ino", "st_dev"])
def test_another_file_in_a_files_place_is_read(tmp_path, monkeypatch, field):
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    stat = [stat_of(path)]
    show(monkeypatch, path, stat)
    hasher = FileHasher(tmp_path / "memory.json")
    hasher(path)
    path.write_bytes(b"two")
    stat[0] = stat_of(path, **{field: 123_456})
    assert hasher(path) == hashlib.sha256(b"two").hexdigest()


def test_what_several_learn_at_once_is_all_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    memory = tmp_path / "memory.json"
    for name in ("old", "a", "b"):
        (tmp_path / name).write_text(name)
    first = FileHasher(memory)
    first(tmp_path / "old")
    first.save()
    hashers = [FileHasher(memory), FileHasher(memory)]
    for name, hasher in zip("ab", hashers, strict=True):
        hasher(tmp_path / name)
    for hasher in hashers:
        hasher.save()
    assert sorted(Path(key).name for key in read_json(memory)["known"]) == ["a", "b", "old"]
    reads = []
    monkeypatch.setattr(files, "sha256_file", reads.append)
    again = FileHasher(memory)
    assert [again(tmp_path / n) for n in ("old", "a", "b")] == [
        hashlib.sha256(n.encode()).hexdigest() for n in ("old", "a", "b")
    ]
    assert reads == []


def test_writers_at_once_never_leave_a_torn_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_RACY_S", 0.0)
    memory = tmp_path / "memory.json"

    def learn(number):
        for index in range(20):
            path = tmp_path / f"{number}-{index}"
            path.write_text(path.name)
            hasher = FileHasher(memory)
            assert hasher(path) == hashlib.sha256(path.name.encode()).hexdigest()
            hasher.save()
            assert is_memory(memory)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(learn, range(4)))


def test_what_was_remembered_wrongly_is_not_learnt_again_from_others(tmp_path, monkeypatch):
    """Only a change that no time shows leads there; whoever reads the bytes themselves ends it."""
    path, memory = tmp_path / "a.bin", tmp_path / "memory.json"
    path.write_bytes(b"one")
    stat = [stat_of(path)]
    show(monkeypatch, path, stat)
    hasher = FileHasher(memory)
    hasher(path)
    hasher.save()
    path.write_bytes(b"two")
    hasher = FileHasher(memory)
    stat[0] = stat_of(path, modified=time.time())  # so that the right hash is not remembered instead
    assert hasher.again(path) == hashlib.sha256(b"two").hexdigest()
    hasher.save()
    assert read_json(memory)["known"] == {}
