"""The one document type that everything downstream reads, and how a long text becomes several.

A document is a text with an id and plain metadata. Its identity is its text: deduplication and
splits go by the hash of the text, never by the id, the file it came from or its position.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lmexp.corpus.formats.rows import BadRows


@dataclass(frozen=True, slots=True)
class Document:
    """A text, a name that is unique within its corpus, and plain metadata."""

    text: str
    id: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextUnits:
    """What of a text file is a document."""

    document: str = "file"
    """file, line or paragraph."""
    max_bytes: int | None = None
    """A file longer than this is cut, where it is one document; None keeps it whole."""


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source is handed besides its own configuration."""

    units: TextUnits
    cache: Path
    """The store's cache, for downloads."""
    content: Mapping[str, str]
    """What the plan found to stand for the source's external content, by name."""
    dropped: Counter[str]
    """Counts what the source leaves out, by reason."""
    bad: BadRows
    """What becomes of rows that hold no text."""
    deduplicate: bool
    """Whether the corpus keeps one of equal texts."""


def text_hash(text: str) -> bytes:
    """Return the 32 bytes of the sha256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).digest()


def hash_fraction(digest: bytes) -> float:
    """Return the first 8 bytes of `digest`, read as a big-endian fraction, in [0, 1]."""
    return int.from_bytes(digest[:8], "big") / 2**64


def cut_blocks(blocks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Cut a text that arrives in blocks into pieces of at most `max_bytes` bytes that join to it again.

    Each piece ends after the last run of blank lines that fits; where none fits, after the last
    line end; where none fits either, between two characters of UTF-8. Nothing is added or lost,
    where the blocks end does not matter, and no more than `max_bytes` and a block are in memory.

    Errors: `ValueError` where `max_bytes` is less than 4, the size of the largest character.
    """
    if max_bytes < 4:
        raise ValueError(f"max_bytes must be at least 4, was {max_bytes}.")
    data, begin = b"", 0
    for block in blocks:
        data, begin = data[begin:] + block, 0
        while len(data) - begin > max_bytes:
            end = _cut_point(data, begin, begin + max_bytes)
            yield data[begin:end]
            begin = end
    if begin < len(data):
        yield data[begin:]


def _cut_point(data: bytes, begin: int, limit: int) -> int:
    """Return where the piece that starts at `begin` ends: past `begin` and at most `limit`."""
    for separator in (b"\n\n", b"\r\n\r\n", b"\n"):
        position = data.rfind(separator, begin, limit)
        if position > begin:
            return position + len(separator)
    end = limit
    while end > begin and data[end] & 0xC0 == 0x80:  # a continuation byte: the character began earlier
        end -= 1
    return end if end > begin else limit  # not UTF-8, which decoding the piece will say
