"""Which parts of its inputs a process has read, told by the doors that parts are read through.

An artifact may have parts that mean different things, as a corpus has splits. What opens one says so
here, under the artifact's directory; the worker asks at the end, and the stage's record then says which parts
its result may depend on. A stage that opens files by their names goes past the doors, and says nothing.
"""

from pathlib import Path

_read: dict[Path, set[str]] = {}


def note_read(path: Path, part: str) -> None:
    """Remember that this process reads `part` of the artifact in directory `path`."""
    _read.setdefault(path.absolute(), set()).add(part)


def parts_read(path: Path) -> list[str]:
    """Return the parts of the artifact in directory `path` that this process has read, by name."""
    return sorted(_read.get(path.absolute(), ()))
