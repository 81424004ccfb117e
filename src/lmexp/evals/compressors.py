"""What general compressors make of the same text: the floor that a language model must pass.

A compressor that sees the documents one after the other spends this many bits on each byte. It
adapts as it reads and starts from nothing, so it learns only from the text under test; a trained
model brings what it learnt elsewhere.
"""

import lzma
import zlib
from collections.abc import Iterable

import zstandard

from lmexp.errors import DataError


def compressor_bits_per_byte(texts: Iterable[str]) -> dict[str, float]:
    """Return bits per byte of the concatenated UTF-8 of `texts` under gzip -9, xz -9e and zstd -19.

    Each figure counts the whole file that the program would write, headers included. The text is
    held in memory once. Errors: `DataError` for an empty text.
    """
    data = b"".join(text.encode() for text in texts)
    if not data:
        raise DataError("There is nothing to compress: the documents are empty.")
    gzip = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    sizes = {
        "gzip": len(gzip.compress(data)) + len(gzip.flush()),
        "xz": len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "zstd": len(zstandard.ZstdCompressor(level=19).compress(data)),
    }
    return {f"{name}_bits_per_byte": 8 * size / len(data) for name, size in sizes.items()}
