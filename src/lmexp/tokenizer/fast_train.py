"""Trains on a corpus of any size, with the fastest trainer that can be believed.

`train.train_byte_bpe` is the reference. `gigatoken`, where it is installed, finds the same merges
many times faster, and is believed only as far as it can be checked: it is compared on a part of
the texts, takes no text with a character newer than Python's Unicode table, and its last merge
must occur in the encoded texts, because unlike the reference it goes on when no pair is left.
"""

import importlib.metadata
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmexp.errors import DataError
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.encoders import OldCharacters, choose_encoder, text_buffers
from lmexp.tokenizer.library import LibraryTokenizer, raise_unless_foreign
from lmexp.tokenizer.structure import byte_characters
from lmexp.tokenizer.train import tokenizer_of_merges, train_byte_bpe

if TYPE_CHECKING:
    import pyarrow as pa

_IN_MEMORY_BYTES = 2**28
"""Most text that is held in memory, which `gigatoken` needs; the reference streams what is longer."""

_COMPARED_BYTES = 2**18
_COMPARED_VOCAB_SIZE = 1024
_SEPARATOR = b"\xff"  # never a byte of UTF-8

_Batches = Callable[[], Iterator["pa.StringArray"]]


class _NotTrustedError(Exception):
    """Why the fast trainer's result is not known to be the reference's."""


@dataclass(frozen=True)
class Trained:
    """A trained tokenizer and what it was trained by."""

    tokenizer: LibraryTokenizer

    record: dict[str, Any]
    """`trained_by`, its package's `version`, the `bytes` that were read, and why no faster trainer was
    used (`rejected`, by name)."""


def train_on_batches(config: ByteBPEConfig, batches: _Batches, num_bytes: int) -> Trained:
    """Train on the texts of `batches()`, which hold `num_bytes` bytes and may be read several times.

    With `config.train_bytes`, read only so much. The tokenizer is that of `train_byte_bpe`.
    Errors: `DataError` where no document is that short.
    """
    limit = num_bytes if config.train_bytes is None else min(config.train_bytes, num_bytes)

    def chosen() -> Iterator["pa.StringArray"]:
        return batches() if limit == num_bytes else spread_texts(batches(), num_bytes, limit)

    if limit <= _IN_MEMORY_BYTES:
        held = list(chosen())
        if not held:
            raise DataError(f"tokenizer.train_bytes ({limit}) is less than any document has; raise it.")
        chosen = held.__iter__
    by, rejected = "gigatoken", {}
    try:
        tokenizer = _train_fast(config, chosen, limit)
    except _NotTrustedError as error:
        by, rejected = "tokenizers", {"gigatoken": str(error)}
        texts = (text for batch in chosen() for text in batch.to_pylist())
        tokenizer = train_byte_bpe(texts, vocab_size=config.vocab_size, digits=config.digits)
    record = {
        "trained_by": by,
        "version": importlib.metadata.version(by),
        "rejected": rejected,
        "bytes": sum(int(text_buffers(batch)[0][-1]) for batch in chosen()),
    }
    return Trained(tokenizer, record)


def spread_texts(
    batches: Iterator["pa.StringArray"], num_bytes: int, limit: int
) -> Iterator["pa.StringArray"]:
    """Yield whole texts of at most `limit` of all `num_bytes` bytes, spread evenly over `batches`."""
    seen = taken = 0
    for batch in batches:
        chosen = []
        for i, size in enumerate(np.diff(text_buffers(batch)[0]).tolist()):
            seen += size
            if (taken + size) * num_bytes <= limit * seen:
                taken += size
                chosen.append(i)
        if chosen:
            yield batch.take(chosen)


def _train_fast(config: ByteBPEConfig, batches: _Batches, num_bytes: int) -> LibraryTokenizer:
    """Train with `gigatoken`. Errors: `_NotTrustedError`."""
    try:
        import gigatoken  # noqa: F401
    except ImportError:
        raise _NotTrustedError("is not installed (it is a package of its own)") from None
    if config.digits != "keep":
        raise _NotTrustedError("does not take digits apart")
    if num_bytes > _IN_MEMORY_BYTES:
        raise _NotTrustedError(
            f"holds all text in memory and may take {_IN_MEMORY_BYTES:,} bytes; set tokenizer.train_bytes"
        )
    sample = _checked_sample(batches())
    vocab_size = min(config.vocab_size, _COMPARED_VOCAB_SIZE)
    expected = train_byte_bpe(iter(sample), vocab_size=vocab_size).definition()["model"]["merges"]
    try:
        found = _merges(vocab_size, _SEPARATOR.join(text.encode() for text in sample))
        if [list(pair) for pair in found[: len(expected)]] != expected:
            raise _NotTrustedError("finds other merges in a part of the text")
        parts = (_SEPARATOR.join(_as_bytes(batch)) for batch in batches())
        tokenizer = tokenizer_of_merges(_merges(config.vocab_size, _SEPARATOR.join(parts)))
    except BaseException as error:
        raise_unless_foreign(error)
        raise (
            error if isinstance(error, _NotTrustedError) else _NotTrustedError(f"failed ({error})")
        ) from None
    encoder, last = choose_encoder(tokenizer, sample), config.vocab_size - 1
    if tokenizer.vocab_size <= last or not any((encoder.encode(b).ids == last).any() for b in batches()):
        raise _NotTrustedError("ran out of pairs")
    return tokenizer


def _checked_sample(batches: Iterator["pa.StringArray"]) -> list[str]:
    """Return the first texts. Errors: `_NotTrustedError` for a new character in any text."""
    characters, size = OldCharacters(), 0
    sample: list[str] = []
    for batch in batches:
        offsets, data = text_buffers(batch)
        if not characters.are_all(data):
            raise _NotTrustedError("may not know all characters of the text")
        if size < _COMPARED_BYTES:
            end = int(np.searchsorted(offsets[1:], _COMPARED_BYTES - size, side="right"))
            sample += batch[: max(end, 1)].to_pylist()
        size += int(offsets[-1])
    return sample


def _as_bytes(texts: "pa.StringArray") -> list[bytes]:
    offsets, data = text_buffers(texts)
    content = data.tobytes()
    return [content[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]


def _merges(vocab_size: int, data: bytes) -> list[tuple[str, str]]:
    """Return the merges that `gigatoken` finds in texts joined by the separator."""
    import gigatoken

    with _silence():  # it prints how far it is
        _, merges = gigatoken.train_bpe(data, vocab_size - 1, [], separator=_SEPARATOR)
    characters = byte_characters()
    return [(_written(a, characters), _written(b, characters)) for a, b in merges]


def _written(token: bytes, characters: list[str]) -> str:
    return "".join(characters[byte] for byte in token)


@contextmanager
def _silence() -> Iterator[None]:
    """Send what is written to the file descriptors 1 and 2 nowhere."""
    saved = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for target, source in enumerate(saved, start=1):
            os.dup2(source, target)
            os.close(source)
        os.close(nowhere)
