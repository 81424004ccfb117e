"""Token shards on disk: one flat stream of tokens a split, memory-mapped, with its documents.

    <split>-00000.bin        little-endian uint16 (uint32 past 65,536 ids), shard after shard one
                             stream; each document's tokens are followed by the end-of-text token
    <split>.documents.npy    int64 [N, 2]: where the document's first token lies in the stream, and
                             the bytes of its text
    packing.json             dtype, vocabulary size, end-of-text id and the sizes of each split

Where documents are packed into rows (`rows`), two more files say how, and the stream is the same:

    <split>.segments.npy     int64 [S, 3]: row, first input (position in the stream), inputs
    <split>.rows.npy         int64 [R, 2]: the row's first segment, and its labels that count

Shards only bound the size of files: documents run across them, and the stream is the same for any
shard size. A store is read-only once packed.
"""

import json
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lmexp.core.store.reading import note_read
from lmexp.core.values.files import read_json
from lmexp.errors import DataError, nearest
from lmexp.packing.rows import best_fit, bos_aligned, first_skew
from lmexp.packing.samples import RowSamples, Samples, StreamSamples
from lmexp.tokenizer.encoders import EncodedTexts

MANIFEST = "packing.json"
_VERSION = 1


def token_dtype(vocab_size: int) -> str:
    """Return the dtype in which ids below `vocab_size` are stored."""
    return "<u2" if vocab_size <= 65_536 else "<u4"


def pack_split(
    batches: Iterable[EncodedTexts],
    out: Path,
    split: str,
    *,
    vocab_size: int,
    eos_token_id: int,
    shard_tokens: int,
) -> dict[str, Any]:
    """Write one split and return its entry for `write_manifest`.

    `batches` yields the documents in order, a bounded number at a time.
    The entry holds `shards` (file name and tokens of each), `documents`, `tokens` (the end-of-text
    tokens included) and `bytes`.
    Errors: `DataError` for a split without documents or an id outside the vocabulary.
    """
    writer = _ShardWriter(out, split, token_dtype(vocab_size), shard_tokens)
    rows = array("q")
    num_tokens = num_bytes = 0
    with writer:
        for batch in batches:
            if len(batch.ids) and batch.ids.max() >= vocab_size:
                wrong = int(np.argmax(batch.ids >= vocab_size))
                document = len(rows) // 2 + int(np.searchsorted(batch.num_tokens.cumsum(), wrong, "right"))
                raise DataError(
                    f"Document {document} of {split} has token {batch.ids[wrong]}, outside the vocabulary "
                    f"of {vocab_size}; was it encoded by another tokenizer?"
                )
            ends = np.cumsum(batch.num_tokens + 1)
            tokens = np.full(len(batch.ids) + len(ends), eos_token_id, dtype=writer.dtype)
            is_text = np.ones(len(tokens), dtype=bool)
            is_text[ends - 1] = False
            tokens[is_text] = batch.ids
            writer.write(tokens)
            starts = num_tokens + ends - (batch.num_tokens + 1)
            rows.frombytes(np.stack([starts, batch.num_bytes], axis=1).tobytes())
            num_tokens += len(tokens)
            num_bytes += int(batch.num_bytes.sum())
    if not rows:
        raise DataError(f"The split {split!r} has no documents to pack.")
    documents = np.frombuffer(rows, dtype=np.int64).reshape(-1, 2)
    np.save(out / _documents_name(split), documents, allow_pickle=False)
    return {
        "shards": [{"file": name, "tokens": tokens} for name, tokens in writer.shards],
        "documents": len(documents),
        "tokens": num_tokens,
        "bytes": num_bytes,
    }


_PACKERS = {"best_fit": best_fit, "bos_aligned": bos_aligned}


def pack_rows(
    out: Path, split: str, entry: dict[str, Any], *, mode: str, context_length: int, seed: int
) -> dict[str, float]:
    """Pack the documents of a split that `pack_split` wrote into rows, and say so in its `entry`.

    Returns `rows`, `padding` (share of the inputs of all rows whose label is ignored),
    `cut_documents` (share of documents that do not lie whole in one row), `dropped_tokens` and
    `first_skew` (how far the documents that begin rows differ in length from all).
    """
    starts = np.load(out / _documents_name(split), allow_pickle=False)[:, 0]
    sizes = np.diff(starts, append=entry["tokens"])
    packed = _PACKERS[mode](starts, sizes, context_length, seed)
    rows = np.zeros((packed.num_rows, 2), dtype=np.int64)
    segment_rows = packed.segments[:, 0]
    rows[:, 0] = np.searchsorted(segment_rows, np.arange(packed.num_rows))
    np.add.at(rows[:, 1], segment_rows, packed.segments[:, 2])
    np.save(out / _segments_name(split), packed.segments, allow_pickle=False)
    np.save(out / _rows_name(split), rows, allow_pickle=False)
    entry["rows"] = {"mode": mode, "context_length": context_length, "rows": packed.num_rows}
    labels = int(rows[:, 1].sum())
    return {
        "rows": packed.num_rows,
        "padding": 1 - labels / max(1, packed.num_rows * context_length),
        "cut_documents": packed.cut_documents / len(sizes),
        "dropped_tokens": entry["tokens"] - labels,
        "first_skew": first_skew(packed, starts, sizes),
    }


def write_manifest(
    out: Path, splits: Mapping[str, Mapping[str, Any]], *, vocab_size: int, eos_token_id: int
) -> None:
    """Write packing.json, which makes the directory a store, after all splits were packed."""
    manifest = {
        "version": _VERSION,
        "dtype": token_dtype(vocab_size),
        "vocab_size": vocab_size,
        "eos_token_id": eos_token_id,
        "splits": {name: dict(entry) for name, entry in splits.items()},
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


class TokenStore:
    """A packed corpus."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self._path = path
        self._manifest = manifest
        self.vocab_size = int(manifest["vocab_size"])
        """Number of ids of the tokenizer that encoded the store."""
        self.eos_token_id = int(manifest["eos_token_id"])
        """Id that ends every document: the tokenizer's `bos_token_id`, mostly its end of text as well."""
        self.splits: tuple[str, ...] = tuple(manifest["splits"])
        """Names of the splits."""

    @classmethod
    def open(cls, path: Path) -> "TokenStore":
        """Open the store in directory `path`. Errors: `DataError` where there is none."""
        try:
            manifest = read_json(path / MANIFEST)
        except FileNotFoundError:
            raise DataError(
                f"{path} holds no {MANIFEST}; give the directory of a packing artifact."
            ) from None
        except ValueError as error:
            raise DataError(f"{path / MANIFEST} is not JSON: {error}.") from None
        if not isinstance(manifest, dict) or manifest.get("version") != _VERSION:
            raise DataError(
                f"{path / MANIFEST} is not a manifest of version {_VERSION}; pack the corpus again."
            )
        return cls(path, manifest)

    def split(self, name: str) -> "TokenSplit":
        """Return one split, memory-mapped. Errors: `DataError` for an unknown name."""
        if name not in self.splits:
            raise DataError(
                f"The token store {self._path} has no split {name!r}{nearest(name, self.splits)}."
            )
        note_read(self._path, name)
        entry, dtype = self._manifest["splits"][name], self._manifest["dtype"]
        return TokenSplit(self._path, name, entry, dtype, eos_token_id=self.eos_token_id)


class TokenSplit:
    """One stream of tokens and the documents in it. Nothing is read before it is asked for."""

    def __init__(
        self, path: Path, name: str, entry: Mapping[str, Any], dtype: str, *, eos_token_id: int
    ) -> None:
        self.name = name
        self._path, self._entry, self._eos_token_id = path, entry, eos_token_id
        self.num_tokens = int(entry["tokens"])
        """Tokens in the stream, the end-of-text tokens included."""
        self.num_bytes = int(entry["bytes"])
        """Bytes of the documents' texts."""
        sizes = [int(shard["tokens"]) for shard in entry["shards"]]
        self._shards = [
            _map_shard(path / shard["file"], size, np.dtype(dtype))
            for shard, size in zip(entry["shards"], sizes, strict=True)
        ]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self.documents: NDArray[np.int64] = _load_table(path / _documents_name(name))
        """[N, 2]: the position of each document's first token, and the bytes of its text."""
        if self._ends[-1] != self.num_tokens or self.documents.shape != (entry["documents"], 2):
            raise DataError(f"The split {name!r} of {path} does not fit its manifest; pack the corpus again.")

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Return the tokens [start, start + length) of the stream, [length].

        Errors: `DataError` for a range that is not inside the stream.
        """
        if start < 0 or length < 0 or start + length > self.num_tokens:
            raise DataError(
                f"Tokens {start} to {start + length} of {self.name} were asked for; "
                f"it has {self.num_tokens:,} tokens."
            )
        result = np.empty(length, dtype=np.int64)
        filled = 0
        shard = int(np.searchsorted(self._ends, start, side="right"))
        while filled < length:
            begin = start + filled - (int(self._ends[shard - 1]) if shard else 0)
            piece = self._shards[shard][begin : begin + length - filled]
            result[filled : filled + len(piece)] = piece
            filled += len(piece)
            shard += 1
        return result

    def samples(self, context_length: int) -> Samples:
        """Return what a model of `context_length` trains on.

        Errors: `DataError` where there is not one sample, or the rows have another length.
        """
        packed = self._entry.get("rows")
        if packed is None:
            return StreamSamples(self, context_length, self.name)
        if packed["context_length"] != context_length:
            raise DataError(
                f"{self._path} was packed into rows of {packed['context_length']} tokens, and the model's "
                f"context_length is {context_length}; set packing.context_length to it."
            )
        segments = _load_table(self._path / _segments_name(self.name))
        rows = _load_table(self._path / _rows_name(self.name))
        if rows.shape != (packed["rows"], 2) or (len(rows) and rows[-1, 0] >= len(segments)):
            raise DataError(f"The rows of {self.name} in {self._path} do not fit; pack the corpus again.")
        return RowSamples(
            self,
            segments,
            rows,
            context_length=context_length,
            eos_token_id=self._eos_token_id,
            split=self.name,
        )

    def document(self, index: int) -> NDArray[np.int64]:
        """Return the tokens of one document, without the end-of-text token after it."""
        if not 0 <= index < len(self.documents):
            raise DataError(f"Document {index} of {self.name} was asked for; it has {len(self.documents):,}.")
        start = int(self.documents[index, 0])
        last = index + 1 == len(self.documents)
        end = self.num_tokens if last else int(self.documents[index + 1, 0])
        return self.read(start, end - start - 1)


class _ShardWriter:
    """Cuts a stream of tokens into files of `shard_tokens` tokens."""

    def __init__(self, out: Path, split: str, dtype: str, shard_tokens: int) -> None:
        self.dtype = np.dtype(dtype)
        self._out, self._split, self._limit = out, split, shard_tokens
        self._file: BinaryIO | None = None
        self.shards: list[tuple[str, int]] = []

    def __enter__(self) -> "_ShardWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, tokens: NDArray[Any]) -> None:
        while len(tokens):
            if self._file is None or self.shards[-1][1] == self._limit:
                self._next()
            name, size = self.shards[-1]
            piece, tokens = tokens[: self._limit - size], tokens[self._limit - size :]
            assert self._file is not None
            self._file.write(piece.data)
            self.shards[-1] = (name, size + len(piece))

    def _next(self) -> None:
        if self._file is not None:
            self._file.close()
        name = f"{self._split}-{len(self.shards):05d}.bin"
        self._file = (self._out / name).open("wb")
        self.shards.append((name, 0))


def _map_shard(path: Path, num_tokens: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    expected = num_tokens * dtype.itemsize
    size = path.stat().st_size if path.exists() else None
    if size != expected:
        found = "is missing" if size is None else f"has {size:,} bytes"
        raise DataError(f"{path} {found}, but its manifest says {expected:,} bytes; pack the corpus again.")
    return np.memmap(path, dtype=dtype, mode="r", shape=(num_tokens,))


def _load_table(path: Path) -> NDArray[np.int64]:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False), dtype=np.int64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; pack the corpus again.") from None


def _documents_name(split: str) -> str:
    return f"{split}.documents.npy"


def _segments_name(split: str) -> str:
    return f"{split}.segments.npy"


def _rows_name(split: str) -> str:
    return f"{split}.rows.npy"
