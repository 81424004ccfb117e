"""Attempts: the private directories in which stages compute, and how one continues another.

    <scratch>/<generation>-<random>/
        out/            becomes the artifact
        work/           checkpoints/step-<number>.ckpt and whatever else the stage keeps
        metrics.jsonl   the curve so far
        segments.json   one entry for each process that worked on it: placement, host, first step
        spec.json result.json error-*.json log.txt stop

Each holder of the lease has an attempt of its own and takes over the newest complete checkpoint of
those before it, with the part of the curve that leads to it. So a paused ex-holder that wakes up
writes where nobody reads.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmexp.core.files import read_json, read_lines, remove_tree, write_json


def newest_checkpoint(scratch: Path) -> Path | None:
    """Return the complete checkpoint of the highest step among all attempts, or None."""
    found = scratch.glob("*/work/checkpoints/step-*.ckpt")
    return max(found, key=lambda p: (int(p.stem.partition("-")[2]), p.stat().st_mtime_ns), default=None)


def new_attempt(scratch: Path, generation: int, segment: Mapping[str, Any]) -> tuple[Path, int | None]:
    """Create the next attempt and return it with the step from which it continues, if any."""
    checkpoint = newest_checkpoint(scratch)
    attempt = scratch / f"{generation:04d}-{uuid.uuid4().hex[:8]}"
    (attempt / "out").mkdir(parents=True)
    (attempt / "work" / "checkpoints").mkdir(parents=True)
    step = None
    segments: list[Any] = []
    if checkpoint is not None:
        step = int(checkpoint.stem.partition("-")[2])
        earlier = checkpoint.parents[2]
        with (attempt / "metrics.jsonl").open("w", encoding="utf-8") as file:
            for line in read_lines(earlier / "metrics.jsonl"):
                if line.get("step", 0) <= step:
                    file.write(json.dumps(line) + "\n")
        with contextlib.suppress(OSError, ValueError):
            segments = read_json(earlier / "segments.json")
    write_json(attempt / "segments.json", [*segments, {**segment, "from_step": step or 0}])
    if checkpoint is not None:  # last, since an attempt with a checkpoint counts as whole
        link_or_copy(checkpoint, attempt / "work" / "checkpoints" / checkpoint.name)
    for other in scratch.iterdir():
        if other != attempt:
            remove_tree(other)
    return attempt, step


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never written again a second name, or copy it where that is impossible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
