"""Archives: every kind is read in place, and what could leave its folder or unpack to too much is refused."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest
import zstandard

from lmexp.corpus.formats.streams import Budget, decompressed
from lmexp.corpus.sources.archives import is_archive, members
from lmexp.errors import DataError

FILES = {"a/one.txt": b"first", "a/two.jsonl": b'{"text": "second"}\n', "b/one.txt": b"third" * 9000}
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def tar(entries, mode="w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data in entries.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(entries) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def make(suffix, entries) -> bytes:
    if suffix == ".zip":
        return zipped(entries)
    return zstandard.compress(tar(entries)) if suffix == ".tar.zst" else tar(entries, MODES[suffix])


def read(tmp_path, name, data, patterns=(), limit=10**6):
    path = tmp_path / "download"
    path.write_bytes(data)
    return {member: stream.read() for member, stream in members(path, name, patterns, budget=Budget(limit))}


def refusal(tmp_path, name, data, **options) -> str:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataError) as error:
        read(tmp_path, name, data, **options)
    assert "\n" not in str(error.value)
    assert set(tmp_path.rglob("*")) <= before | {tmp_path / "download"}
    return str(error.value)


@pytest.mark.parametrize("suffix", [*MODES, ".tar.zst", ".zip"])
def test_the_members_of_every_kind_are_read_in_their_order(tmp_path, suffix):
    data = make(suffix, FILES)
    assert is_archive(f"x{suffix.upper()}")
    assert list(read(tmp_path, f"x{suffix}", data).items()) == list(FILES.items())
    assert list(read(tmp_path, f"x{suffix}", data, ("*/one.txt",))) == ["a/one.txt", "b/one.txt"]
    assert list(read(tmp_path, f"x{suffix}", data, ("b/*", "*.jsonl"))) == ["a/two.jsonl", "b/one.txt"]


def test_other_names_are_no_archives():
    assert not any(map(is_archive, ("a.txt", "a.gz", "a.jsonl.zst", "tar", "zip")))


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_a_member_outside_its_folder_is_refused(tmp_path, suffix, name):
    message = refusal(tmp_path, f"x{suffix}", make(suffix, {**FILES, name: b"evil"}))
    assert message == f"x{suffix} is refused: its member {name!r} lies outside its folder."


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_a_link_or_a_device_in_a_tar_is_refused(tmp_path, kind, what):
    info = tarfile.TarInfo("inside.txt")
    info.type, info.linkname = kind, "a/one.txt"
    message = refusal(tmp_path, "x.tar", tar({**FILES, info: b""}))
    assert message == f"x.tar is refused: its member 'inside.txt' is {what}."


@pytest.mark.parametrize(("mode", "what"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a device")])
def test_a_link_or_a_device_in_a_zip_is_refused(tmp_path, mode, what):
    info = zipfile.ZipInfo("inside.txt")
    info.external_attr = (mode | 0o644) << 16
    message = refusal(tmp_path, "x.zip", zipped({**FILES, info: b"/etc/passwd"}))
    assert message == f"x.zip is refused: its member 'inside.txt' is {what}."


def test_what_compressed_members_unpack_to_counts_together_with_the_archive(tmp_path):
    member = gzip.compress(bytes(400_000))
    for suffix in (".zip", ".tar.gz"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(make(suffix, {f"{i}.txt.gz": member for i in range(3)}))

        def unpacked(limit, path=path):
            budget = Budget(limit)
            return [
                len(decompressed(stream, ".gz", place="member", budget=budget).read())
                for _, stream in members(path, path.name, (), budget=budget)
            ]

        assert unpacked(1_300_000) == [400_000] * 3
        with pytest.raises(DataError, match="unpacks to more than 1,100,000 bytes"):
            unpacked(1_100_000)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip"])
def test_a_bomb_stops_at_the_limit_on_what_all_members_unpack_to(tmp_path, suffix):
    data = make(suffix, {"a.txt": bytes(600_000), "b.txt": bytes(600_000)})
    assert len(data) < 10_000
    message = refusal(tmp_path, f"x{suffix}", data, limit=1_000_000)
    assert message.startswith(f"x{suffix} unpacks to more than 1,000,000 bytes; ")
    assert len(read(tmp_path, f"x{suffix}", data, limit=1_300_000)) == 2


def test_a_sparse_file_and_a_header_as_large_as_a_bomb_are_refused(tmp_path):
    sparse = tarfile.TarInfo("holes.txt")
    sparse.type = tarfile.GNUTYPE_SPARSE
    assert "is a sparse file" in refusal(tmp_path, "x.tar", tar({sparse: b""}))
    long = tarfile.TarInfo("long")
    long.type = tarfile.GNUTYPE_LONGNAME
    message = refusal(tmp_path, "x.tar", tar({**FILES, long: bytes(2_000_000)}))
    assert "x.tar cannot be read as an archive: a header of 2,000,000 bytes" in message


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.zst", ".zip"])
@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_archive_is_one_sentence(tmp_path, suffix, damage):
    files = {f"{i}.txt": os.urandom(3000) for i in range(20)}
    data = make(suffix, files)
    data = data[: len(data) // 2] if damage == "cut" else b"\1" * len(data)
    assert f"x{suffix}" in refusal(tmp_path, f"x{suffix}", data)


def test_a_zip_whose_member_is_not_what_its_checksum_says_is_one_sentence(tmp_path):
    data = bytearray(zipped({"a.txt": os.urandom(5000)}))
    data[3000] ^= 1
    assert "x.zip is damaged: " in refusal(tmp_path, "x.zip", bytes(data))


def test_an_encrypted_zip_and_a_name_twice_are_one_sentence(tmp_path):
    data = bytearray(zipped({"a.txt": b"text"}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    assert "x.zip is encrypted at 'a.txt'" in refusal(tmp_path, "x.zip", bytes(data))
    first, second = tarfile.TarInfo("a.txt"), tarfile.TarInfo("a.txt")
    assert "two members named 'a.txt'" in refusal(tmp_path, "x.tar", tar({first: b"1", second: b"2"}))
