"""Files written whole or not at all, and content hashes that are computed once.

`write_json` and `write_text` write a temporary neighbour, flush it to the device and rename it, so
that a reader sees the old file or the new one. `FileHasher` remembers a file's sha256 under its
path, device, inode, size, modification time and change time: an unchanged file costs one `stat`, and a
file that any ordinary program has touched is read again. The memory is sealed as a whole: one that is
not as it was written is forgotten. What several processes learn at once is joined.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RACY_S = 2.0
"""A file that was touched this recently may change again within one tick of its clock: it is not known."""


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace `path` by `text` atomically, and durably unless it may be lost when the machine stops."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_utf8(name: str) -> bool:
    """Whether a file's name can be written down: one whose bytes are not UTF-8 cannot stand in JSON."""
    return name == name.encode(errors="replace").decode()


def is_leftover(path: Path) -> bool:
    """Whether a file is the temporary neighbour of one that was being written: its writer may be gone."""
    return path.name.startswith(".") and path.suffix == ".tmp"


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by indented JSON atomically and durably."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, whoever wrote it.

    Errors: `ValueError`, also where it is not UTF-8 or is nested deeper than Python's stack.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote. Errors: `OSError`, and `ValueError` where it is not JSON."""
    return parse_json(path.read_text(encoding="utf-8"))


def append_line(path: Path, value: Any) -> None:
    """Append one JSON line in a single write, so that writers of one file never mix lines.

    Where whoever wrote last was stopped in the middle of a line, this one begins on a line of its own.
    """
    data = (json.dumps(value, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" + data if is_torn else data)
    finally:
        os.close(descriptor)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of the complete lines of `path`.

    A torn last line, a line that is no JSON object and a missing file yield nothing.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield from _objects(line if line.endswith(b"\n") else b"")


class LineFollower:
    """Reads the complete JSON lines that a growing file has gained since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the new lines; a torn last line waits for the next look, a missing file gives none."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        return [entry for line in data.split(b"\n") for entry in _objects(line)]


def _objects(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield the object that a line is, if it is one."""
    with contextlib.suppress(ValueError):
        value = parse_json(line.decode(errors="replace"))
        if isinstance(value, dict):
            yield value


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or the names inside a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Delete a directory that other processes may be deleting too."""
    shutil.rmtree(path, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, 64 hexadecimal characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileHasher:
    """`sha256_file` with a memory in one JSON file; losing that file costs only time."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self.cache = memory.parent if memory is not None else None
        """The store's cache, for what else is looked up once and remembered; None without a store."""
        self._known: dict[str, list[Any]] = {}
        self._learnt: dict[str, list[Any]] = {}
        self._refuted: dict[str, list[Any]] = {}
        self._is_damaged = False
        if memory is not None and memory.exists():
            known = _remembered(memory)
            self._known, self._is_damaged = known or {}, known is None

    def __call__(self, path: Path) -> str:
        """Return the sha256 of the file at `path` as it is now."""
        key = os.path.abspath(path)
        signature = _signature(path)
        settled = _is_settled(signature)  # before it is read: a change while it is has a later time then
        entry = self._known.get(key)
        if entry is not None and settled and entry[:-1] == signature:
            return str(entry[-1])
        value = sha256_file(path)
        if settled and _signature(path) == signature and is_utf8(key):
            self._known[key] = self._learnt[key] = [*signature, value]
        return value

    def again(self, path: Path) -> str:
        """Return the sha256 of the bytes themselves, whatever is remembered, and remember it."""
        key = os.path.abspath(path)
        entry = self._known.pop(key, None)
        self._learnt.pop(key, None)
        value = self(path)
        if entry is not None and entry[-1] != value:
            self._refuted[key] = entry
        return value

    def save(self) -> None:
        """Write what was learnt beside what others have learnt meanwhile, forgetting files that are gone."""
        if self._memory is None or not (self._learnt or self._refuted or self._is_damaged):
            return
        with contextlib.suppress(OSError):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            others = _remembered(self._memory)
            known = {**(self._known if others is None else others), **self._learnt}
            known = {k: v for k, v in known.items() if v != self._refuted.get(k) and os.path.exists(k)}
            text = json.dumps({"known": known, "sha256": _sha256_of(known)}, ensure_ascii=False)
            write_text(self._memory, f"{text}\n", durable=False)
            self._learnt, self._refuted, self._is_damaged = {}, {}, False


def is_memory(path: Path) -> bool:
    """Whether a file is what `FileHasher.save` wrote."""
    return _remembered(path) is not None


def _remembered(memory: Path) -> dict[str, list[Any]] | None:
    """Return the entries of a memory; None where they are not as they were written."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        value = read_json(memory)
        if isinstance(value, dict) and value.get("sha256") == _sha256_of(value.get("known")):
            return dict(value["known"])
    return None


def _sha256_of(known: Any) -> str:
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _signature(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _is_settled(signature: list[int]) -> bool:
    """Whether another change of the file would be seen in its times.

    Whoever changes a file may set its modification time to any other, so that the change time decides too;
    one that is still to come is another machine's and says nothing.
    """
    modified, changed = (time.time() - moment / 1e9 for moment in signature[1:3])
    return abs(modified) > _RACY_S and changed > _RACY_S
