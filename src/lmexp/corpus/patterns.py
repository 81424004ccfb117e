"""Patterns of file names: which files one matches, each once, the same on every file system.

`*`, `?` and `[...]` match inside one name as in a shell, names that begin with a dot only where the pattern
does; `**` is any number of folders. What exists by the very name wins over what it matches as a pattern:
`data [v1]/*.txt` looks into that folder. Names that differ in the Unicode form of their accents alone are
the same name. Links are followed, and a folder is entered once for each part of a pattern, so that links
in a circle end.
"""

import fnmatch
import functools
import glob
import os
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from lmexp.errors import DataError, nearest


def matching_files(pattern: str) -> list[Path]:
    """Return the absolute paths of the files that a pattern matches, `~` for the home directory.

    Errors: `DataError` for a folder on the way that cannot be read.
    """
    expanded = os.path.expanduser(pattern)
    if os.path.isfile(expanded):
        return [Path(os.path.abspath(expanded))]
    root, *parts = Path(os.path.join(os.getcwd(), expanded)).parts
    if parts and parts[-1] == "**":
        parts.append("*")
    return each_once(Path(os.path.abspath(path)) for path in _walk(root, parts))


def each_once(paths: Iterable[Path]) -> list[Path]:
    """Return the paths sorted by their parts; of several that are one file its own name, else the first."""
    kept: dict[str, Path] = {}
    real_folder = functools.lru_cache(maxsize=None)(os.path.realpath)
    links: list[Path] = []
    ordered = sorted(paths, key=_sort_key)
    for path in ordered:
        if path.is_symlink():
            links.append(path)
        else:
            kept.setdefault(os.path.join(real_folder(path.parent), path.name), path)
    for path in links:
        kept.setdefault(os.path.realpath(path), path)
    chosen = set(kept.values())
    return [path for path in dict.fromkeys(ordered) if path in chosen]


def _sort_key(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Return what paths are sorted by: their names, accents in one form first."""
    return [_composed(part) for part in path.parts], path.parts


def file_name(path: Path) -> str:
    r"""Return a file's name as a record holds it: accents composed, bytes that are not UTF-8 as ``\xe9``."""
    return _composed(os.fsencode(path.name).decode("utf-8", "backslashreplace"))


def shown(path: Path | str) -> str:
    """Return a path as a message shows it: in one line, without what a terminal would obey."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nothing_matches(pattern: str) -> str:
    """Return why a pattern may match no file: a similar name, a missing folder, hidden files; or nothing."""
    folder, name = os.path.split(os.path.expanduser(pattern))
    if not os.path.isdir(folder or ".") and not glob.has_magic(folder):
        return f": there is no directory {shown(folder)!r}"
    if name.startswith("*") and any(_walk_or_nothing(os.path.join(folder, f".{name}"))):
        hidden = shown(os.path.join(folder, f".{name}"))
        return f": '*' leaves out names that begin with a dot; {hidden!r} names them"
    try:
        names = [shown(entry.name) for entry in os.scandir(folder or ".") if entry.is_file()]
    except OSError:
        return ""
    return nearest(name, names)


def pattern_of(directory: str, suffixes: Sequence[str]) -> str:
    """Return a pattern of the files in a directory that have the most frequent of the `suffixes`."""
    counts = dict.fromkeys(suffixes, 0)
    inside = ""
    for depth in ("", "**"):
        for path in _walk_or_nothing(os.path.join(directory, depth, "*")):
            suffix = next((s for s in suffixes if path.lower().endswith(s)), None)
            if suffix is not None:
                counts[suffix] += 1
        if any(counts.values()):
            inside = depth
            break
    escaped = glob.escape(directory) if any(mark in directory for mark in "*?") else directory
    return os.path.join(escaped, inside, f"*{max(counts, key=lambda s: counts[s])}")


def _walk_or_nothing(pattern: str) -> list[str]:
    root, *parts = Path(os.path.join(os.getcwd(), os.path.expanduser(pattern))).parts
    try:
        return _walk(root, parts)
    except DataError:
        return []


def _walk(root: str, pattern: Sequence[str]) -> list[str]:
    found: list[str] = []
    entered: set[tuple[str, int]] = set()
    waiting = deque([(root, tuple(pattern))])
    while waiting:
        folder, parts = waiting.popleft()
        state = (os.path.realpath(folder), len(parts))
        if state in entered or not parts:
            continue
        entered.add(state)
        head, rest = parts[0], parts[1:]
        if head == "**":
            waiting.appendleft((folder, rest))
        for name in _named("*" if head == "**" else head, folder):
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                follow = (path, parts if head == "**" else rest)
                if os.path.islink(path):  # by its own name first
                    waiting.append(follow)
                else:
                    waiting.appendleft(follow)
            elif not rest and head != "**" and os.path.isfile(path):
                found.append(path)
    return found


def _named(part: str, folder: str) -> list[str]:
    """Return the names in a folder that one part of a pattern means."""
    if not any(mark in part for mark in "*?") and os.path.lexists(os.path.join(folder, part)):
        return [part]
    try:
        names = os.listdir(folder)
    except NotADirectoryError:
        return []
    except OSError as error:
        raise DataError(
            f"the folder {shown(folder)!r} cannot be read ({error.strerror}); name folders that can be."
        ) from None
    wanted = _composed(part)
    return [
        name
        for name in names
        if (part.startswith(".") or not name.startswith(".")) and fnmatch.fnmatchcase(_composed(name), wanted)
    ]


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
