"""What made a model, by the records of its store: which stage read which split of which corpus.

A record names the inputs of its artifact and, for each, the parts that were read of it. A corpus is read by
its splits. A packing holds the splits of its corpus encoded, so that who reads its train split reads the
corpus's. Everything else that a stage takes is an ancestor with a record of its own.

Of a stage of the user's own that takes a corpus and says nothing it is not known what it read: it may have
opened the files by their names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.graph.stage import registered_stage
from lmexp.core.store.record import Record, read_record
from lmexp.corpus.shards import iter_text_batches
from lmexp.errors import ConfigError, VerificationError
from lmexp.evals.audit.contamination import Lineage, Reading

CORPUS, PACKING = "corpus", "packing"
"""Stages whose artifacts have splits."""


def lineage_of(path: Path) -> Lineage:
    """Return what is known of how the artifact in directory `path` was made; nothing is raised."""
    walk = _Walk(path.absolute().parents[2] if len(path.absolute().parents) > 2 else path)
    walk.visit(path)
    readings = [
        Reading(
            who=f"{' and '.join(who)} (the {split} split of {where.name})",
            corpus=where,
            texts=_Texts(where, split),
        )
        for (where, split), who in walk.read.items()
    ]
    return Lineage(readings=readings, unknown=walk.unknown)


class _Texts:
    """The texts of a split, read from disk each time."""

    def __init__(self, corpus: Path, split: str) -> None:
        self._corpus, self._split = corpus, split

    def __iter__(self) -> Iterator[str]:
        for batch in iter_text_batches(self._corpus, self._split):
            yield from batch.to_pylist()


class _Walk:
    """Goes from an artifact to all that it was made from."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read: dict[tuple[Path, str], list[str]] = {}
        """Stages that read a split of a corpus, by its directory and the split."""
        self.unknown: list[str] = []
        self._seen: set[Path] = set()

    def visit(self, path: Path) -> None:
        """Follow what the artifact in directory `path` was made from."""
        if path in self._seen:
            return
        self._seen.add(path)
        record = self._record(path)
        if record is None:
            return
        if not record.data["inputs"]:
            self.unknown.append(f"{record.stage} took in what something else made")
        for name, entry in record.data["inputs"].items():
            parts = self._parts(record, name, entry)
            if entry["stage"] == CORPUS:
                self._reads(record.stage, self.root / entry["path"], parts)
            elif entry["stage"] == PACKING:
                self._visit_packing(record.stage, self.root / entry["path"], parts)
            else:
                self.visit(self.root / entry["path"])

    def _visit_packing(self, stage: str, path: Path, parts: Sequence[str]) -> None:
        record = self._record(path)
        for entry in [] if record is None else record.data["inputs"].values():
            if entry["stage"] == CORPUS:
                self._reads(stage, self.root / entry["path"], parts)
            else:
                self.visit(self.root / entry["path"])

    def _reads(self, stage: str, where: Path, parts: Iterable[str]) -> None:
        for split in parts if self._record(where) is not None else ():
            who = self.read.setdefault((where, split), [])
            if stage not in who:
                who.append(stage)

    def _parts(self, record: Record, name: str, entry: Mapping[str, Any]) -> Sequence[str]:
        """Return the splits that a stage read of an input that has splits."""
        if entry["stage"] not in (CORPUS, PACKING):
            return ()
        said = record.data.get("read")
        if said is None:
            self.unknown.append(f"the record of {record.name} does not say what it read")
            return ()
        if not said[name] and not _is_shipped(record.stage):
            self.unknown.append(
                f"{record.stage} takes a {entry['stage']} and does not say what it read of it"
            )
        return list(said[name])

    def _record(self, path: Path) -> Record | None:
        try:
            return read_record(path)
        except VerificationError:
            self.unknown.append(f"{path.name} has no record")
            return None


def _is_shipped(stage: str) -> bool:
    try:
        return registered_stage(stage).is_shipped
    except ConfigError:
        return False
