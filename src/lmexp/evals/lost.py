"""What the tokenizer lost of the documents that were scored.

A model gives a probability to tokens. They are those of one text alone where nothing is lost, and of many
texts elsewhere: bits per byte are then those of a coarser text, and not to be ranked.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmexp.tokenizer.lost import lost_bytes
from lmexp.tokenizer.tokenizer import Tokenizer


def with_lost(
    rows: Iterable[Mapping[str, Any]], texts: Iterable[str], tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    """Yield each document's row with `lost_bytes`, those of its text that do not come back."""
    for row, text in zip(rows, texts, strict=True):
        yield {**row, "lost_bytes": lost_bytes(tokenizer.lost(text))}


def lost_metrics(rows: Iterable[Mapping[str, Any]]) -> dict[str, float | int]:
    """Return `lost_bytes` and their `lost_share` of all bytes; nothing where rows do not speak of it."""
    lost = num_bytes = 0
    found = False
    for row in rows:
        found = found or "lost_bytes" in row
        lost += row.get("lost_bytes", 0)
        num_bytes += row["bytes"]
    return {"lost_bytes": lost, "lost_share": lost / num_bytes} if found else {}
