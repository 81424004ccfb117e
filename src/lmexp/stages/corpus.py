"""The corpus stage: documents from their sources, deduplicated and split, as Parquet files.

Who reads a split of the artifact is remembered (`lmexp.core.store.reading`), for the audit of what it makes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.store.reading import note_read
from lmexp.core.store.store import HASHES
from lmexp.core.values.files import FileHasher, read_json
from lmexp.corpus.config import CorpusConfig, HubSource, KnownSource
from lmexp.corpus.sources.sources import all_sources, content_hashes
from lmexp.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from lmexp.corpus.documents import Document


class CorpusArtifact(Artifact):
    """Documents by split."""

    def documents(self, split: str) -> "Iterator[Document]":
        """Yield the documents of `train`, `validation` or `test`, in source order."""
        from lmexp.corpus.shards import iter_documents

        note_read(self.path, split)
        return iter_documents(self.path, split)

    def text_batches(self, split: str) -> "Iterator[pa.StringArray]":
        """Yield the texts of a split, in source order, some MiB of them at a time, without nulls."""
        from lmexp.corpus.shards import iter_text_batches

        note_read(self.path, split)
        return iter_text_batches(self.path, split)

    def num_bytes(self, split: str) -> int:
        """Return the bytes of a split's texts."""
        card = read_json(self.path / "card.json")
        return int(card["splits"][split]["bytes"])

    def known(self) -> KnownSource | None:
        """Return the source whose entropy is known, where it is the corpus's only one."""
        from lmexp.corpus.sources.known import only_known_source

        return only_known_source(read_json(self.path / "card.json"))


def _check_rows(config: CorpusConfig) -> None:
    from lmexp.corpus.preview import check_rows

    check_rows(config)


def _hints(config: CorpusConfig) -> list[str]:
    from lmexp.corpus.preview import hints

    return hints(config)


def _label(config: CorpusConfig) -> str:
    if not config.files:
        return "-".join(all_sources(config))
    first = Path(config.files[0])
    return first.parent.name if "*" in first.name else first.stem


@stage(
    "corpus",
    version=2,
    produces=CorpusArtifact,
    content=content_hashes,
    label=_label,
    check_machine=_check_rows,
    hints=_hints,
)
def corpus(run: StageRun, config: CorpusConfig) -> Metrics:
    """Build the corpus. Errors: `DataError` for unreadable, malformed, empty or changing input."""
    from lmexp.corpus.build import build_corpus

    metrics = build_corpus(config, run.out, cache=run.cache, content=run.content)
    hasher = FileHasher()  # remembers no file: each is read again
    hasher.cache = run.cache
    # a hub commit cannot change while it is read, and the cache that resolved it may be gone
    fixed = {name for name, source in all_sources(config).items() if isinstance(source, HubSource)}
    now = {**run.content, **content_hashes(config, hasher, without=fixed)}
    if run.content and now != run.content:
        # the hashes of the plan may have been remembered wrongly: then the same command would fail again
        (run.cache / HASHES).unlink(missing_ok=True)
        changed = [n for n in {*now, *run.content} if now.get(n) != run.content.get(n)]
        raise DataError(f"{', '.join(sorted(changed)[:3])} changed while being read; give the command again.")
    return metrics
