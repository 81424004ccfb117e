"""What general compressors make of the same text: the floor that a language model must pass.

A compressor that sees the documents one after the other spends this many bits on each byte. It
adapts as it reads and starts from nothing, so it learns only from the text under test; a trained
model brings what it learnt elsewhere. So does a dictionary: zstd reads as if it stood before the text, and
its bytes are part of what a receiver has to be told.
"""

import itertools
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard

from lmexp.errors import DataError

DICTIONARY_BYTES = 112_640
"""Size of a dictionary, the default of the program `zstd --train`."""

_PIECE = 2**14
"""Characters of the pieces that a dictionary is trained on; longer ones count for their beginnings alone."""

_PIECES = 1000
"""Most pieces; a hundred times the dictionary and more."""


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


def trained_dictionary(texts: Iterable[str]) -> bytes | None:
    """Return zstd's dictionary of the first `texts`; None where they are too few to make one of."""
    samples: list[bytes | bytearray | memoryview] = list(itertools.islice(_pieces(texts), _PIECES))
    try:
        return bytes(zstandard.train_dictionary(DICTIONARY_BYTES, samples).as_bytes())
    except zstandard.ZstdError:
        return None


def dictionary_bits_per_byte(dictionary: bytes, texts: Iterable[str], num_bytes: int) -> dict[str, float]:
    """Return bits per byte of the concatenated `texts`, of `num_bytes`, under zstd -19 behind a dictionary.

    ``zstd_dictionary_bits_per_byte`` is that of the text alone; ``zstd_dictionary_two_part_bits_per_byte``
    includes the dictionary, itself compressed by zstd -19.
    """
    known = zstandard.ZstdCompressionDict(dictionary)
    # of itself the library would choose them for the dictionary, with a window too small for the text
    chosen = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=num_bytes, dict_size=len(dictionary)
    )
    compressor = zstandard.ZstdCompressor(compression_params=chosen, dict_data=known).compressobj(
        size=num_bytes
    )
    size = sum(len(compressor.compress(text.encode())) for text in texts) + len(compressor.flush())
    told = len(zstandard.ZstdCompressor(level=19).compress(dictionary))
    return {
        "zstd_dictionary_bits_per_byte": 8 * size / num_bytes,
        "zstd_dictionary_two_part_bits_per_byte": 8 * (size + told) / num_bytes,
    }


def _pieces(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        for begin in range(0, len(text), _PIECE):
            yield text[begin : begin + _PIECE].encode()
