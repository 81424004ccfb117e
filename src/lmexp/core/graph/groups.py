"""The configurations that can be chosen by name, shipped and of a user's own, found without composing."""

from collections.abc import Sequence
from pathlib import Path

ADDED = ("experiment", "debug")
"""Groups without a default: chosen as ``+group=NAME``."""


def groups(roots: Sequence[Path]) -> dict[str, list[str]]:
    """Return the options of each config group below the roots, `ADDED` groups first.

    A group may lie within another (``corpus/filters``), and an experiment in a folder of its own is named
    by its path (``course/week1``).
    """
    found: dict[str, set[str]] = {}
    for root in roots:
        for path in sorted(root.rglob("*.yaml")):
            parts = path.relative_to(root).with_suffix("").parts
            if len(parts) > 1:
                depth = 1 if parts[0] in ADDED else len(parts) - 1
                found.setdefault("/".join(parts[:depth]), set()).add("/".join(parts[depth:]))
    order = sorted(found, key=lambda name: (name not in ADDED, name))
    return {name: sorted(found[name]) for name in order}


def choice(group: str, option: str) -> str:
    """Return the word that chooses an option of a group."""
    return f"{'+' if group in ADDED else ''}{group}={option}"
