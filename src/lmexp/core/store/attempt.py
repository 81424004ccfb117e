"""Attempts: the private directories in which stages compute, and how one continues another.

    <scratch>/<generation>-<random>/
        out/            becomes the artifact
        work/           checkpoints/step-<number>.ckpt, what it needs beside it as
                        step-<number>.<other>, and whatever else the stage keeps
        metrics.jsonl   the curve so far
        segments.json   one entry for each process that worked on it: placement, host, first step,
                        seconds, CPU seconds, and what it chose by itself
        said.jsonl      what was done before the first point, in words
        choices.jsonl   what the process that works on it chose by itself, for its segment
        spec.json result.json error-*.json log.txt stop

Each holder of the lease has an attempt of its own and takes over the newest complete checkpoint of
those before it, with the files of its step and of those before, and the part of the curve that leads
to it. Those before it are moved aside first, by one rename each, so that a paused ex-holder that wakes
up finds nothing where it wrote; and it, in turn, touches no attempt of a later generation than its own.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.values.files import read_json, read_lines, remove_tree, write_json

_STEP_FILE = re.compile(r"step-(\d+)\.(?!tmp$)[a-z]+")
_ATTEMPT = re.compile(r"(\d{4,})-[0-9a-f]{8}(\.over)?")


def newest_checkpoint(scratch: Path) -> Path | None:
    """Return the complete checkpoint of the highest step among all attempts, or None."""
    return _newest(list(scratch.glob("*")))


def _newest(attempts: Sequence[Path]) -> Path | None:
    found = [(_step(path), _written(path), path) for a in attempts for path in _checkpoints(a)]
    return max(found)[2] if found else None


def _checkpoints(attempt: Path) -> Iterator[Path]:
    found = attempt.glob("work/checkpoints/step-*.ckpt")
    return (path for path in found if _STEP_FILE.fullmatch(path.name))


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("-")[2])


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # whoever wrote it still does, and keeps the newest alone
        return 0


def new_attempt(scratch: Path, generation: int, segment: Mapping[str, Any]) -> tuple[Path, int | None]:
    """Create the attempt of a generation and return it with the step from which it continues, if any.

    Errors: `FileNotFoundError` where a later generation has moved it aside meanwhile.
    """
    earlier = [_moved_aside(path) for path in _attempts(scratch, below=generation)]
    while True:
        checkpoint = _newest(earlier)
        attempt = scratch / f"{generation:04d}-{uuid.uuid4().hex[:8]}"
        try:
            _begin(attempt, checkpoint, segment)
            break
        except FileNotFoundError:
            # an ex-holder that woke up between two of its own generations removes what was before it
            if checkpoint is None or checkpoint.exists():
                raise
            remove_tree(attempt)
    remove_attempts(scratch, below=generation)
    return attempt, None if checkpoint is None else _step(checkpoint)


def remove_attempts(scratch: Path, *, below: int) -> None:
    """Delete the attempts of all generations before `below`, and the directory if it is empty then."""
    for path in _attempts(scratch, below=below):
        remove_tree(path)
    with contextlib.suppress(OSError):
        scratch.rmdir()


def _attempts(scratch: Path, *, below: int) -> list[Path]:
    """Return the attempts of earlier generations: a later one belongs to who holds the lease now."""
    matches = ((path, _ATTEMPT.fullmatch(path.name)) for path in scratch.glob("*"))
    return sorted(path for path, match in matches if match and int(match[1]) < below)


def _moved_aside(attempt: Path) -> Path:
    """Give an attempt another name, so that whoever still writes in it by its own finds nothing there."""
    if attempt.suffix == ".over":
        return attempt
    aside = attempt.with_name(f"{attempt.name}.over")
    with contextlib.suppress(FileNotFoundError):
        attempt.rename(aside)
    return aside


def _begin(attempt: Path, checkpoint: Path | None, segment: Mapping[str, Any]) -> None:
    (attempt / "out").mkdir(parents=True)
    (attempt / "work" / "checkpoints").mkdir(parents=True)
    if checkpoint is None:
        write_json(attempt / "segments.json", [{**segment, "from_step": 0}])
        return
    step, before = _step(checkpoint), checkpoint.parents[2]
    curve = [line for line in read_lines(before / "metrics.jsonl") if line.get("step", 0) <= step]
    if curve:  # a stage without a curve has no such file
        text = "".join(json.dumps(line) + "\n" for line in curve)
        (attempt / "metrics.jsonl").write_text(text, encoding="utf-8")
    segments: list[Any] = []
    with contextlib.suppress(OSError, ValueError):
        segments = _up_to(checkpoint, read_json(before / "segments.json"), _choices(before))
    write_json(attempt / "segments.json", [*segments, {**segment, "from_step": step}])
    # the checkpoint is last, since an attempt with a checkpoint counts as whole
    for path in sorted(_files_up_to(checkpoint), key=lambda p: p == checkpoint):
        link_or_copy(path, attempt / "work" / "checkpoints" / path.name)


def _up_to(
    checkpoint: Path, segments: list[dict[str, Any]], choices: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the segments; one that was killed has worked at least until it wrote its checkpoint."""
    *before, last = segments
    last = {**last, **choices}
    if "seconds" not in last:
        began = datetime.datetime.fromisoformat(last["started"]).timestamp()
        last = {**last, "seconds": round(max(0.0, checkpoint.stat().st_mtime - began), 3)}
    return [*before, last]


def end_segment(attempt: Path, *, seconds: float, cpu_seconds: float) -> None:
    """Note how long the process that works on an attempt has worked, however it ended."""
    segments = read_json(attempt / "segments.json")
    segments[-1] |= {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3), **_choices(attempt)}
    write_json(attempt / "segments.json", segments)


def _choices(attempt: Path) -> dict[str, Any]:
    """Return what a segment says of the choices of its process: nothing where it made none."""
    chosen = {str(line.get("name")): line.get("choice") for line in read_lines(attempt / "choices.jsonl")}
    return {"choices": chosen} if chosen else {}


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
