"""What makes a directory a store: its marker, `lmexp-store.json`.

A store is made of a directory that is new or empty, and of no other: what lies in a store is lmexp's to
replace and to delete, so nothing of anybody else's may be taken for a part of one. Nothing is deleted
where there is no marker.
"""

import errno
import os
from pathlib import Path

from lmexp.core.provenance.own import PACKAGE
from lmexp.core.store.disk import FULL, disk_full
from lmexp.core.values.files import read_json, write_json
from lmexp.core.values.spelling import command
from lmexp.errors import ConfigError

MARKER = "lmexp-store.json"
FORMAT = 1
NOTHING = frozenset({".gitignore", ".gitkeep", ".keep", ".DS_Store", "lost+found"})
"""What git, a desktop or a file system leaves in a directory that is empty to a person."""


def make_store(root: Path) -> None:
    """Make the directory, or check it.

    Errors: `ConfigError` where it cannot be created or written, or is something else already;
    `StoreError` for a full disk.
    """
    try:
        if root.exists() and not root.is_dir():
            raise ConfigError(f"the store {root} is a file; give a directory with store=PATH.")
        if root.resolve().is_relative_to(PACKAGE):
            raise ConfigError(
                f"the store {root} lies in lmexp's own package, where the next installation would "
                f"delete it; give another with store=PATH."
            )
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "permission denied")
        found = set(os.listdir(root)) - NOTHING
        others = sorted(name for name in found if not name.startswith(f".{MARKER}."))
        if not is_store(root):  # after the look: who makes it one now writes the marker before all else
            if others:
                raise ConfigError(_not_ours(root, others))
            if root.resolve() in {Path(root.anchor), Path(os.path.expanduser("~")).resolve()}:
                raise ConfigError(f"{root} is nobody's own place; give a directory below it with store=PATH.")
            write_json(root / MARKER, {"format": FORMAT})
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(root) from None
        raise ConfigError(
            f"the store {root} cannot be written ({error.strerror}); give another with store=PATH."
        ) from None
    require_store(root)


def is_store(root: Path) -> bool:
    """Whether a directory has the marker."""
    return (root / MARKER).is_file()


def require_store(root: Path) -> None:
    """Raise `ConfigError` where no run has ever made this directory a store, or a later lmexp has."""
    if not is_store(root):
        raise ConfigError(f"there is no store at {root}; give the right one with store=PATH.")
    try:
        marker = read_json(root / MARKER)
    except ValueError:
        marker = None
    if not isinstance(marker, dict) or marker.get("format") != FORMAT:
        raise ConfigError(
            f'{root / MARKER} is not {{"format": {FORMAT}}}: the store is of another version of lmexp, or '
            f"the file is damaged; use that version, or {_mend(root)}."
        )


def _not_ours(root: Path, others: list[str]) -> str:
    held = ", ".join(repr(name) for name in others[:3]) + (", ..." if len(others) > 3 else "")
    lost = ""
    if {"artifacts", "runs"} <= set(others):
        lost = f" If it is a store that has lost its marker, {_mend(root)}."
    return (
        f"{root} is no store of lmexp and is not empty (it holds {held}); give a new or an empty directory "
        f"with store=PATH.{lost}"
    )


def _mend(root: Path) -> str:
    return f"write it anew: echo '{{\"format\": {FORMAT}}}' > {command([str(root / MARKER)])}"
