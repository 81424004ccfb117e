"""Builds a corpus: documents deduplicated, split by the hash of their text, written as Parquet.

The split of a document is a pure function of its text: u is the first 8 bytes of its sha256 as a
fraction of 2^64, and u < test_fraction is test, u < test_fraction + validation_fraction is
validation, the rest is train. Adding documents therefore never moves another one across splits,
and two copies of one text can never lie on both sides.

Identical input gives identical bytes. Memory is bounded by one row group and 32 bytes a document.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmexp.core.config import identity
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.documents import Document, hash_fraction, text_hash
from lmexp.corpus.sources import all_sources, read_documents
from lmexp.errors import DataError, nearest

SPLITS = ("train", "validation", "test")

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)
_ROW_GROUP_BYTES = 8 * 2**20


def build_corpus(
    config: CorpusConfig, out: Path, *, cache: Path, content: Mapping[str, str]
) -> dict[str, float | int]:
    """Write train.parquet, validation.parquet, test.parquet and card.json into `out`.

    `cache` and `content` are those of `read_documents`.

    Documents keep the order of their sources. Of identical texts the first is kept.
    Returns counts: `documents`, `bytes` (UTF-8), `characters`, the same for each split as
    ``train/documents`` and so on, and ``dropped/<reason>``.
    Errors: `DataError` where there is no document, or a split has none.
    """
    dropped: Counter[str] = Counter()
    seen: set[bytes] = set()
    counts = {split: Counter(documents=0, bytes=0, characters=0) for split in SPLITS}
    with _Writers(out) as writers:
        for document in read_documents(config, cache=cache, content=content, dropped=dropped):
            digest = text_hash(document.text)
            if digest in seen:
                dropped["duplicate"] += 1
                continue
            seen.add(digest)
            split = split_of(digest, config)
            num_bytes = writers.add(split, document)
            counts[split].update(documents=1, bytes=num_bytes, characters=len(document.text))
    _check_counts(config, {split: count["documents"] for split, count in counts.items()})
    totals = sum(counts.values(), Counter())
    card = {
        "sources": {
            name: {"kind": source.KIND, **identity(source)} for name, source in all_sources(config).items()
        },
        "content": dict(content),
        **totals,
        "splits": {split: dict(count) for split, count in counts.items()},
        "dropped": dict(sorted(dropped.items())),
    }
    (out / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    metrics: dict[str, float | int] = dict(totals)
    for split, count in counts.items():
        metrics.update({f"{split}/{name}": value for name, value in count.items()})
    metrics.update({f"dropped/{reason}": n for reason, n in sorted(dropped.items())})
    return metrics


def split_of(digest: bytes, config: CorpusConfig) -> str:
    """Return the split of the document whose text has the sha256 `digest`."""
    fraction = hash_fraction(digest)
    if fraction < config.test_fraction:
        return "test"
    if fraction < config.test_fraction + config.validation_fraction:
        return "validation"
    return "train"


def iter_documents(path: Path, split: str) -> Iterator[Document]:
    """Yield the documents of one split of the corpus in directory `path`, in source order.

    Errors: `DataError` for a split that is not there.
    """
    file = path / f"{split}.parquet"
    if not file.exists():
        raise DataError(f"The corpus {path} has no split {split!r}{nearest(split, SPLITS)}.")
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=256, use_threads=False):
            columns = (batch.column(name).to_pylist() for name in ("text", "id", "metadata"))
            for text, identifier, metadata in zip(*columns, strict=True):
                yield Document(text, identifier, json.loads(metadata))


class _Writers:
    """One Parquet file for each split; a row group is written when it holds enough bytes."""

    def __init__(self, out: Path) -> None:
        self._files = {
            split: pq.ParquetWriter(out / f"{split}.parquet", _SCHEMA, compression="zstd") for split in SPLITS
        }
        self._rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._pending = dict.fromkeys(SPLITS, 0)

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for split, file in self._files.items():
            if kind is None:
                self._flush(split)
            file.close()

    def add(self, split: str, document: Document) -> int:
        """Append a document and return the bytes of its text."""
        num_bytes = len(document.text.encode())
        metadata = json.dumps(document.metadata, sort_keys=True, ensure_ascii=False)
        self._rows[split].append({"id": document.id, "text": document.text, "metadata": metadata})
        self._pending[split] += num_bytes
        if self._pending[split] >= _ROW_GROUP_BYTES:
            self._flush(split)
        return num_bytes

    def _flush(self, split: str) -> None:
        if self._rows[split]:
            self._files[split].write_table(pa.Table.from_pylist(self._rows[split], schema=_SCHEMA))
        self._rows[split], self._pending[split] = [], 0


def _check_counts(config: CorpusConfig, documents: dict[str, int]) -> None:
    total = sum(documents.values())
    if total == 0:
        names = ", ".join(all_sources(config))
        raise DataError(f"The corpus is empty: its sources ({names}) hold no text besides whitespace.")
    empty = [split for split in SPLITS if documents[split] == 0]
    if empty:
        split = empty[0]
        share = (
            "lower corpus.test_fraction and corpus.validation_fraction"
            if split == "train"
            else f"raise corpus.{split}_fraction (now {getattr(config, f'{split}_fraction'):g})"
        )
        cut = f" (now {config.max_document_bytes})" if config.max_document_bytes is not None else ""
        raise DataError(
            f"The {split} split is empty: the corpus has {total} document{'s' * (total != 1)}, split by the "
            f"hash of their text; {share}, lower corpus.max_document_bytes{cut}, or add documents."
        )
