"""Attempts: the private directories in which stages compute, and how one continues another.

    <scratch>/<generation>-<random>/
        out/            becomes the artifact
        work/           checkpoints/step-<number>.ckpt, what it needs beside it as
                        step-<number>.<other>, and whatever else the stage keeps
        metrics.jsonl   the curve so far
        segments.json   one entry for each process that worked on it: placement, host, first step,
                        seconds and CPU seconds
        spec.json result.json error-*.json log.txt stop

Each holder of the lease has an attempt of its own and takes over the newest complete checkpoint of
those before it, with the files of its step and of those before, and the part of the curve that leads
to it. So a paused ex-holder that wakes up writes where nobody reads.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmexp.core.files import read_json, read_lines, remove_tree, write_json

_STEP_FILE = re.compile(r"step-(\d+)\.(?!tmp$)[a-z]+")


def newest_checkpoint(scratch: Path) -> Path | None:
    """Return the complete checkpoint of the highest step among all attempts, or None."""
    found = scratch.glob("*/work/checkpoints/step-*.ckpt")
    return max(found, key=lambda p: (_step(p), p.stat().st_mtime_ns), default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("-")[2])


def new_attempt(scratch: Path, generation: int, segment: Mapping[str, Any]) -> tuple[Path, int | None]:
    """Create the next attempt and return it with the step from which it continues, if any."""
    checkpoint = newest_checkpoint(scratch)
    attempt = scratch / f"{generation:04d}-{uuid.uuid4().hex[:8]}"
    (attempt / "out").mkdir(parents=True)
    (attempt / "work" / "checkpoints").mkdir(parents=True)
    step = None
    segments: list[Any] = []
    if checkpoint is not None:
        step = _step(checkpoint)
        earlier = checkpoint.parents[2]
        with (attempt / "metrics.jsonl").open("w", encoding="utf-8") as file:
            for line in read_lines(earlier / "metrics.jsonl"):
                if line.get("step", 0) <= step:
                    file.write(json.dumps(line) + "\n")
        with contextlib.suppress(OSError, ValueError):
            segments = _up_to(checkpoint, read_json(earlier / "segments.json"))
    write_json(attempt / "segments.json", [*segments, {**segment, "from_step": step or 0}])
    if checkpoint is not None:  # last, since an attempt with a checkpoint counts as whole
        for path in sorted(_files_up_to(checkpoint), key=lambda p: p == checkpoint):
            link_or_copy(path, attempt / "work" / "checkpoints" / path.name)
    for other in scratch.iterdir():
        if other != attempt:
            remove_tree(other)
    return attempt, step


def _up_to(checkpoint: Path, segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the segments; one that was killed has worked at least until it wrote its checkpoint."""
    *before, last = segments
    if "seconds" not in last:
        began = datetime.datetime.fromisoformat(last["started"]).timestamp()
        last = {**last, "seconds": round(max(0.0, checkpoint.stat().st_mtime - began), 3)}
    return [*before, last]


def end_segment(attempt: Path, *, seconds: float, cpu_seconds: float) -> None:
    """Note how long the process that works on an attempt has worked, however it ended."""
    segments = read_json(attempt / "segments.json")
    segments[-1] |= {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3)}
    write_json(attempt / "segments.json", segments)


def _files_up_to(checkpoint: Path) -> list[Path]:
    """Return the complete files ``step-<number>.*`` beside a checkpoint, of its step and those before."""
    matches = ((path, _STEP_FILE.fullmatch(path.name)) for path in checkpoint.parent.iterdir())
    return [path for path, match in matches if match and int(match[1]) <= _step(checkpoint)]


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never written again a second name, or copy it where that is impossible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
