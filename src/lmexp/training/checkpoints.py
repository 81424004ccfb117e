"""Checkpoint files: written beside their name, synced, renamed; the newest complete one counts.

A file `step-00000100.ckpt` holds everything that Lightning needs to go on after 100 optimizer
steps. What a killed process leaves is at most a `.tmp` file, which is ignored and overwritten.
"""

import os
import re
from pathlib import Path

from lmexp.core.values.files import fsync_path

_NAME = re.compile(r"step-(\d+)\.ckpt")


def checkpoint_path(directory: Path, step: int) -> Path:
    """Return the name of the checkpoint after `step` optimizer steps."""
    return directory / f"step-{step:08d}.ckpt"


def newest_checkpoint(directory: Path) -> tuple[int, Path] | None:
    """Return (step, path) of the newest complete checkpoint, or None."""
    if not directory.is_dir():
        return None
    found = [(int(match[1]), path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return max(found, default=None)


def publish_checkpoint(temporary: Path, final: Path, *, keep: int = 1) -> None:
    """Give `temporary` its name once its bytes are on disk, then remove all but the newest `keep`."""
    fsync_path(temporary)
    os.replace(temporary, final)
    fsync_path(final.parent)
    older = sorted(p for p in final.parent.iterdir() if _NAME.fullmatch(p.name) and p.name < final.name)
    for path in older[: max(0, len(older) + 1 - keep)]:
        path.unlink()
