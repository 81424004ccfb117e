"""Damaged files of every kind: read to the end, or one sentence; never another exception."""

import gzip
import io
import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from lmexp.corpus.documents import TextUnits
from lmexp.corpus.formats.formats import read_texts, split_name
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.formats.streams import Budget, decompressed
from lmexp.corpus.sources.archives import is_archive, members
from lmexp.errors import DataError
from tests.corpus.sources.test_archives import make

ROWS = [{"text": f'row {i} é, "quoted"\nand more', "nested": {"text": [f"{i}", "x"]}} for i in range(40)]
JSONL = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
CSV = b"n,text\r\n" + b"".join(f'{i},"row {i} é ""q""\r\nmore"\r\n'.encode() for i in range(40))


def parquet(**options) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, **options)
    return file.getvalue()


FILES = {
    "a.txt": ("\n\n".join(row["text"] for row in ROWS)).encode(),
    "a.jsonl": JSONL,
    "a.json": json.dumps(ROWS).encode(),
    "a.csv": CSV,
    "mac.csv": CSV.replace(b"\r\n", b"\r"),
    "a.parquet": parquet(),
    "b.parquet": parquet(compression="zstd", use_dictionary=False, data_page_version="2.0"),
    "a.jsonl.gz": gzip.compress(JSONL),
    "a.csv.zst": zstandard.compress(CSV),
    "a.tar": make(".tar", {"a.jsonl": JSONL, "b.csv": CSV}),
    "a.tar.gz": make(".tar.gz", {"a.jsonl": JSONL, "b.csv": CSV}),
    "a.zip": make(".zip", {"a.jsonl": JSONL, "b.csv.gz": gzip.compress(CSV)}),
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut it, or change, insert, delete or repeat some of its bytes."""
    kind = rng.randrange(5)
    at = rng.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        flipped = bytearray(data)
        for _ in range(rng.choice((1, 1, 8))):
            flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if kind == 2:
        return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]
    if kind == 3:
        return data[:at] + data[at + rng.randrange(1, 40) :]
    return data[:at] + data[rng.randrange(len(data)) :]


def read(path, name, *, drop, column, document):
    """Read all texts of a file, or of all members of an archive."""
    units, bad, budget = TextUnits(document, 300), BadRows(Counter(), drop=drop), Budget(10**7)
    with path.open("rb") as file:
        opened = members(path, name, (), budget=budget) if is_archive(name) else [(name, file)]
        for member, stream in opened:
            chosen, compression = split_name(member, member)
            inner = decompressed(stream, compression, place=member, budget=budget) if compression else stream
            for _, text in read_texts(inner, chosen, place=member, column=column, units=units, bad=bad):
                text.encode()


def refusal(path, name, **options) -> str | None:
    try:
        read(path, name, **options)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_told_in_one_sentence(tmp_path, name):
    rng = random.Random(name)
    path, told = tmp_path / "file", 0
    for i in range(45):
        path.write_bytes(damaged(FILES[name], rng))
        options = {"drop": i % 2 == 1, "column": ("text", "nested.text")[i % 4 == 3], "document": "file"}
        if name.endswith(".txt"):
            options["document"] = ("file", "line", "paragraph")[i % 3]
        sentence = refusal(path, name, **options)
        told += sentence is not None
        assert sentence is None or (sentence.endswith(".") and "\n" not in sentence)
    assert told > 2
