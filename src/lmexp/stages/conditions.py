"""What a stage of conditions has done already: each one's rows, kept where a killed attempt outlives.

A condition is as much as is lost by a kill: a chunk of documents, or of a task's items.
The n-th condition that is done stands in ``work/checkpoints`` as ``step-<n>.jsonl``, its rows, and
``step-<n>.ckpt``, which is written last and says which condition it is and the hash of its rows. A later
attempt takes a condition whose name and hash agree, and computes every other one again. Rows are numbers
and texts as JSON writes them, so that what is taken is bit for bit what would be computed.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

from lmexp.core.values.files import parse_json, read_json, write_json
from lmexp.stages.rows import write_rows

Rows = Sequence[Mapping[str, Any]]
Chunk = TypeVar("Chunk", bound=Sized)


class Conditions:
    """The conditions of one stage, in the order in which they are asked for."""

    def __init__(self, folder: Path, should_stop: Callable[[], bool]) -> None:
        """`folder` is the attempt's ``work/checkpoints``."""
        self._folder, self._should_stop = folder, should_stop
        self._count = 0
        self.stopped = False
        """Whether the stage was asked to stop before the last condition was computed."""

    def rows(self, name: str, compute: Callable[[], Rows]) -> Rows | None:
        """Return the rows of the condition `name`; None where the stage was asked to stop before them."""
        self._count += 1
        kept = self._kept(name)
        if kept is not None:
            return kept
        if self._should_stop():
            self.stopped = True
            return None
        rows = compute()
        self._keep(name, rows)
        return rows

    def each(
        self, name: str, chunks: Iterable[Chunk], compute: Callable[[Chunk], Rows]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of all `chunks` in order, each a condition that its length is part of.

        Where the stage was asked to stop, rows end before a chunk that was to be computed.
        """
        for number, chunk in enumerate(chunks):
            rows = self.rows(f"{name}/{number} of {len(chunk)}", functools.partial(compute, chunk))
            if rows is None:
                return
            yield from rows

    def _paths(self) -> tuple[Path, Path]:
        head = self._folder / f"step-{self._count}"
        return head.with_suffix(".jsonl"), head.with_suffix(".ckpt")

    def _keep(self, name: str, rows: Rows) -> None:
        data, done = self._paths()
        half = data.with_suffix(".tmp")
        self._folder.mkdir(parents=True, exist_ok=True)
        write_rows(half, rows)
        os.replace(half, data)
        write_json(done, {"condition": name, "sha256": hashlib.sha256(data.read_bytes()).hexdigest()})

    def _kept(self, name: str) -> Rows | None:
        data, done = self._paths()
        try:
            said = read_json(done)
            if said != {"condition": name, "sha256": hashlib.sha256(data.read_bytes()).hexdigest()}:
                return None
            return [parse_json(line) for line in data.read_text(encoding="utf-8").split("\n")[:-1]]
        except (OSError, ValueError):
            return None
