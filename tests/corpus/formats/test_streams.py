"""Compressed streams: every compression, several members, damage, and a limit on what comes out."""

import bz2
import errno
import functools
import gzip
import io
import lzma

import pytest
import zstandard

from lmexp.corpus.formats.streams import COMPRESSIONS, Budget, decompressed
from lmexp.errors import DataError

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": functools.partial(lzma.compress, preset=0),
    ".zst": zstandard.compress,
}
DATA = b"".join(f"line {i} {i * i}\n".encode() for i in range(50_000))


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_what_was_compressed_comes_out_also_from_several_members(suffix):
    data = COMPRESS[suffix](DATA) + COMPRESS[suffix](b"second")
    assert decompressed(io.BytesIO(data), suffix, place="a").read() == DATA + b"second"
    lines = list(decompressed(io.BytesIO(data), suffix, place="a"))
    assert lines[:-1] == DATA.splitlines(keepends=True)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("damage", ["cut", "begin", "middle"])
def test_damage_is_one_sentence_with_the_place(suffix, damage):
    data = COMPRESS[suffix](DATA)
    half = len(data) // 2
    data = {"cut": data[:half], "begin": b"\0" + data[1:], "middle": data[:half] + b"\xff" * 4000}[damage]
    with pytest.raises(DataError, match=r"^a\.txt is damaged: .* \(after [\d,]+ unpacked bytes\)\.$"):
        decompressed(io.BytesIO(data), suffix, place="a.txt").read()


@pytest.mark.parametrize("suffix", ["", *COMPRESSIONS])
def test_more_than_the_limit_stops_before_it_is_all_unpacked(suffix):
    bomb = COMPRESS.get(suffix, bytes)(bytes(10_000_000))
    stream = decompressed(io.BytesIO(bomb), suffix, place="a", budget=Budget(3_000_000))
    assert stream.read(2_000_000) == bytes(2_000_000)
    with pytest.raises(DataError, match=r"unpacks to more than 3,000,000 bytes.*max_unpacked_bytes"):
        stream.read(2_000_000)
    assert decompressed(io.BytesIO(bomb), suffix, place="a", budget=Budget(10**7)).read() == bytes(10_000_000)


def test_a_failing_device_is_not_called_damage():
    class Failing(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        decompressed(Failing(), ".gz", place="a").read()
