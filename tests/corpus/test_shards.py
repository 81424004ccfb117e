"""Parquet shards: bounded files and row groups, read back in order, equal bytes for equal documents."""

import pyarrow.parquet as pq
import pytest

from lmexp.core.store.record import RECORD
from lmexp.core.values.sealed import write_sealed
from lmexp.corpus import shards
from lmexp.corpus.documents import Document
from lmexp.corpus.shards import ShardWriters, iter_documents, iter_text_batches, shard_path
from lmexp.errors import DataError

TEXTS = [f"{i} é " + "x" * (i % 300) for i in range(300)]


def write(out, texts=TEXTS, shard_bytes=10**9):
    out.mkdir()
    with ShardWriters(out, shard_bytes) as writers:
        for i, text in enumerate(texts):
            metadata = {"source": "ä" if i % 2 else "b"}
            writers.add("train", Document(text, f"d:{i}", metadata), text.encode())
    return out


def test_documents_come_back_whole_and_in_order_from_shards_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_ROW_GROUP_BYTES", 1000)
    for shard_bytes in (1, 5000, 10**9):
        out = write(tmp_path / str(shard_bytes), shard_bytes=shard_bytes)
        documents = list(iter_documents(out, "train"))
        assert [(d.id, d.text) for d in documents] == [(f"d:{i}", text) for i, text in enumerate(TEXTS)]
        assert [d.metadata["source"] for d in documents] == ["b", "ä"] * 150
        batches = list(iter_text_batches(out, "train"))
        assert [text for batch in batches for text in batch.to_pylist()] == TEXTS
        assert all(batch.null_count == 0 for batch in batches)


def test_row_groups_and_shards_are_bounded_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_ROW_GROUP_BYTES", 1000)
    out = write(tmp_path / "out", shard_bytes=5000)
    longest = max(len(text.encode()) for text in TEXTS)
    files = sorted(out.iterdir())
    assert files == [shard_path(out, "train", i) for i in range(len(files))]
    assert len(files) > 5
    for file in files:
        groups = [
            sum(len(text.encode()) for text in pq.ParquetFile(file).read_row_group(i)["text"].to_pylist())
            for i in range(pq.ParquetFile(file).num_row_groups)
        ]
        assert all(group < 1000 + longest for group in groups)
        assert sum(groups) < 5000 + 1000 + longest
        assert file == files[-1] or sum(groups) >= 5000


def test_equal_documents_give_equal_bytes(tmp_path):
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert shard_path(one, "train", 0).read_bytes() == shard_path(two, "train", 0).read_bytes()


def test_metadata_is_written_as_json_for_every_reader(tmp_path):
    table = pq.read_table(shard_path(write(tmp_path / "out"), "train", 0))
    assert table.column_names == ["id", "text", "metadata"]
    assert table["metadata"][1].as_py() == '{"source": "ä"}'


def test_a_shard_that_the_record_does_not_list_is_not_read(tmp_path):
    out = write(tmp_path / "out")
    files = {path.name: {"size": 1, "sha256": ""} for path in out.iterdir()}
    write_sealed(out / RECORD, {"files": files})
    foreign = write(tmp_path / "foreign", ["of the test split"])
    shard_path(foreign, "train", 0).rename(shard_path(out, "train", 1))
    assert [d.text for d in iter_documents(out, "train")] == TEXTS
    assert [text for batch in iter_text_batches(out, "train") for text in batch.to_pylist()] == TEXTS


def test_a_split_that_is_not_there_is_answered_with_the_nearest_one(tmp_path):
    for read in (iter_documents, iter_text_batches):
        with pytest.raises(DataError, match="did you mean 'test'"):
            list(read(tmp_path, "tests"))


def test_a_document_that_no_row_group_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_LONGEST_BYTES", 100)
    with pytest.raises(DataError, match=r"'d:0' has 101 bytes.*max_document_bytes"):
        write(tmp_path / "out", ["x" * 101])
