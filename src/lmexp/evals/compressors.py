"""What general compressors make of the same text: the floor that a language model must pass.

A compressor that sees the documents one after the other spends this many bits on each byte. It
adapts as it reads and starts from nothing, so it learns only from the text under test; a trained
model brings what it learnt elsewhere.
"""

import lzma
import zlib
from collections.abc import Iterable
from typing import Any

import zstandard

from lmexp.errors import DataError


def compressor_bits_per_byte(texts: Iterable[str], num_bytes: int) -> dict[str, float]:
    """Return bits per byte of the concatenated UTF-8 of `texts` under gzip -9, xz -9e and zstd -19.

    Each figure counts the whole file that the program would write, headers included. The texts are
    read once and not kept; xz alone takes 700 MB for its dictionary. `num_bytes` is their size, which
    zstd writes into its header and fits its parameters to.
    Errors: `DataError` for an empty text.
    """
    if not num_bytes:
        raise DataError("There is nothing to compress: the documents are empty.")
    compressors: dict[str, Any] = {
        "gzip": zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
        "xz": lzma.LZMACompressor(preset=9 | lzma.PRESET_EXTREME),
        "zstd": zstandard.ZstdCompressor(level=19).compressobj(size=num_bytes),
    }
    sizes = dict.fromkeys(compressors, 0)
    for text in texts:
        data = text.encode()
        for name, compressor in compressors.items():
            sizes[name] += len(compressor.compress(data))
    return {
        f"{name}_bits_per_byte": 8 * (sizes[name] + len(compressor.flush())) / num_bytes
        for name, compressor in compressors.items()
    }
