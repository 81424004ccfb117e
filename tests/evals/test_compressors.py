"""Compressors' figures are those of the whole files that their programs write."""

import gzip
import lzma

import pytest
import zstandard

from lmexp.errors import DataError
from lmexp.evals.compressors import (
    compressor_bits_per_byte,
    dictionary_bits_per_byte,
    trained_dictionary,
)

TRAIN = [f"def function_{i}(argument):\n    return argument + {i * i}\n" * 3 for i in range(3000)]
TEST = [f"def function_{i}(argument):\n    return argument - {i}\n" for i in range(20)]


def test_each_is_what_the_library_makes_of_the_joined_text():
    data = "".join(TEST).encode()
    found = compressor_bits_per_byte(TEST, len(data))
    assert found == {
        "gzip_bits_per_byte": 8 * len(gzip.compress(data, 9)) / len(data),
        "xz_bits_per_byte": 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / len(data),
        "zstd_bits_per_byte": 8 * len(zstandard.ZstdCompressor(level=19).compress(data)) / len(data),
    }
    with pytest.raises(DataError, match="nothing to compress"):
        compressor_bits_per_byte([], 0)


def test_a_dictionary_helps_on_text_like_that_which_it_was_trained_on_and_its_bytes_are_counted():
    data = "".join(TEST).encode()
    dictionary = trained_dictionary(TRAIN)
    assert dictionary == trained_dictionary(iter(TRAIN))
    found = dictionary_bits_per_byte(dictionary, TEST, len(data))
    known = zstandard.ZstdCompressionDict(dictionary)
    chosen = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=len(data), dict_size=len(dictionary)
    )
    frame = zstandard.ZstdCompressor(compression_params=chosen, dict_data=known).compress(data)
    assert zstandard.ZstdDecompressor(dict_data=known).decompress(frame) == data
    told = zstandard.ZstdCompressor(level=19).compress(dictionary)
    assert found["zstd_dictionary_bits_per_byte"] == pytest.approx(8 * len(frame) / len(data), rel=0.02)
    both = found["zstd_dictionary_two_part_bits_per_byte"] - found["zstd_dictionary_bits_per_byte"]
    assert both == pytest.approx(8 * len(told) / len(data))
    assert (
        found["zstd_dictionary_bits_per_byte"]
        < compressor_bits_per_byte(TEST, len(data))["zstd_bits_per_byte"]
    )


def test_of_too_little_text_there_is_no_dictionary():
    assert trained_dictionary(["a"]) is None
    assert trained_dictionary([]) is None
