"""A corpus on disk: each split as Parquet shards, read back in order.

    <split>-00000.parquet    rows of (id, text, metadata as JSON), zstd, in row groups of a few MiB

A shard ends once it holds `shard_bytes` bytes of text; shards only bound the size of files, and
the documents and their order are the same for any size. Equal documents give equal bytes. Memory
is bounded by one row group a split, or by the longest document where that is longer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from lmexp.core.store.record import listed_files
from lmexp.core.values.files import parse_json
from lmexp.corpus.config import SPLITS
from lmexp.corpus.documents import Document
from lmexp.errors import DataError, nearest

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)
_ROW_GROUP_BYTES = 8 * 2**20
_LONGEST_BYTES = 2**31 - 1 - _ROW_GROUP_BYTES
"""Arrow's offsets are 32 bits: a row group, its last document included, must stay below 2 GiB."""


class ShardWriters:
    """Writes the shards of every split. Use as a context: an error leaves incomplete files."""

    def __init__(self, out: Path, shard_bytes: int) -> None:
        self._splits = {split: _SplitWriter(out, split, shard_bytes) for split in SPLITS}

    def __enter__(self) -> "ShardWriters":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._splits.values():
            writer.close(complete=kind is None)

    def add(self, split: str, document: Document, data: bytes) -> None:
        """Append a document, whose text is `data` in UTF-8.

        Errors: `DataError` for a document that no row group can hold.
        """
        if len(data) > _LONGEST_BYTES:
            raise DataError(
                f"The document {document.id!r} has {len(data):,} bytes; the longest possible one has "
                f"{_LONGEST_BYTES:,}; set corpus.max_document_bytes to cut text files."
            )
        self._splits[split].add(document, data)


class _SplitWriter:
    def __init__(self, out: Path, split: str, shard_bytes: int) -> None:
        self._out, self._split, self._shard_bytes = out, split, shard_bytes
        self._file: pq.ParquetWriter | None = None
        self._num_shards = self._bytes_in_shard = self._pending_bytes = 0
        self._ids: list[str] = []
        self._texts: list[bytes] = []
        self._metadata: list[str] = []
        self._last_metadata: tuple[dict[str, str], str] = ({}, "{}")

    def add(self, document: Document, data: bytes) -> None:
        self._ids.append(document.id)
        self._texts.append(data)
        self._metadata.append(self._metadata_json(document.metadata))
        self._pending_bytes += len(data)
        if self._pending_bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def close(self, *, complete: bool) -> None:
        if complete:
            self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _metadata_json(self, metadata: dict[str, str]) -> str:
        known, text = self._last_metadata
        if metadata is not known:  # the documents of one file share their metadata
            text = json.dumps(metadata, sort_keys=True, ensure_ascii=False)
            self._last_metadata = (metadata, text)
        return text

    def _flush(self) -> None:
        if not self._ids:
            return
        if self._file is None:
            self._file = pq.ParquetWriter(
                shard_path(self._out, self._split, self._num_shards),
                _SCHEMA,
                compression="zstd",
                use_dictionary=["metadata"],  # for texts it is built and thrown away
                write_statistics=False,
            )
            self._num_shards += 1
        columns = [pa.array(values, pa.string()) for values in (self._ids, self._texts, self._metadata)]
        self._file.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        self._bytes_in_shard += self._pending_bytes
        self._ids, self._texts, self._metadata, self._pending_bytes = [], [], [], 0
        if self._bytes_in_shard >= self._shard_bytes:
            self._file.close()
            self._file, self._bytes_in_shard = None, 0


def shard_path(path: Path, split: str, index: int) -> Path:
    """Return where shard `index` of a split lies in the corpus in directory `path`."""
    return path / f"{split}-{index:05d}.parquet"


def iter_documents(path: Path, split: str) -> Iterator[Document]:
    """Yield the documents of one split of the corpus in directory `path`, in source order.

    Errors: `DataError` for a split that is not there.
    """
    for columns in _row_groups(path, split, ["text", "id", "metadata"]):
        for batch in columns.to_batches(max_chunksize=256):
            values = (batch.column(name).to_pylist() for name in ("text", "id", "metadata"))
            for text, identifier, metadata in zip(*values, strict=True):
                yield Document(text, identifier, parse_json(metadata))


def iter_text_batches(path: Path, split: str) -> Iterator[pa.StringArray]:
    """Yield the texts of one split in source order, some MiB of them at a time, without nulls.

    Errors: `DataError` for a split that is not there.
    """
    for columns in _row_groups(path, split, ["text"]):
        yield from columns.column("text").chunks


def _row_groups(path: Path, split: str, columns: list[str]) -> Iterator[pa.Table]:
    shards = listed_files(path, f"{split}-[0-9]*.parquet") if split in SPLITS else []
    if not shards:
        raise DataError(f"The corpus {path} has no split {split!r}{nearest(split, SPLITS)}.")
    for shard in shards:
        with pq.ParquetFile(shard, pre_buffer=False) as parquet:
            for i in range(parquet.num_row_groups):
                yield parquet.read_row_group(i, columns=columns, use_threads=False)
