"""How much of a text a tokenizer loses.

A text is cut into pieces, each beside what its tokens stand for. A piece that does not come back as itself is
lost, all its bytes; where something comes back that was not there, its bytes are lost, since they are not of
the text either. So no byte is lost exactly where the whole text comes back.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lmexp.tokenizer.tokenizer import Tokenizer

_EXAMPLES = 20
_EXAMPLE_CHARACTERS = 80


def lost_bytes(pairs: Iterable[tuple[str, str]]) -> int:
    """Return the UTF-8 bytes that are lost, of pieces and what stands in their place (`Tokenizer.lost`)."""
    return sum(len((piece or instead).encode()) for piece, instead in pairs)


class Losses:
    """What is lost of many texts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pieces: Counter[tuple[str, str]] = Counter()

    def add(self, text: str) -> None:
        """Count what is lost of a text."""
        self._pieces.update(self._tokenizer.lost(text))

    def report(self, num_bytes: int) -> dict[str, Any]:
        """Return `lost_bytes`, `lost_share` of the texts' `num_bytes`, and `lost_examples`.

        Examples are the pieces that are lost most often: their text, what stands instead, and how often.
        """
        lost = sum(count * lost_bytes([pair]) for pair, count in self._pieces.items())
        return {
            "lost_bytes": lost,
            "lost_share": lost / max(1, num_bytes),
            "lost_examples": [
                {"text": text[:_EXAMPLE_CHARACTERS], "instead": instead[:_EXAMPLE_CHARACTERS], "count": count}
                for (text, instead), count in self._pieces.most_common(_EXAMPLES)
            ],
        }
