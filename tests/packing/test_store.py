"""The token store: one stream a split whatever the shards, and no silence about damaged files."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.packing.store import TokenStore, pack_split, write_manifest
from lmexp.tokenizer.encoders import EncodedTexts

DOCUMENTS = st.lists(st.tuples(st.lists(st.integers(1, 9), max_size=12), st.integers(0, 99)), min_size=1)


def encoded(documents, batch_size=3):
    """Return (ids, bytes) pairs as the batches that an encoder gives."""
    return [
        EncodedTexts(
            np.array([token for ids, _ in batch for token in ids], dtype=np.uint32),
            np.array([len(ids) for ids, _ in batch], dtype=np.int64),
            np.array([num_bytes for _, num_bytes in batch], dtype=np.int64),
        )
        for batch in (documents[i : i + batch_size] for i in range(0, len(documents), batch_size))
    ]


def pack(out, documents, shard_tokens=1024, vocab_size=10):
    entry = pack_split(
        encoded(documents), out, "train", vocab_size=vocab_size, eos_token_id=0, shard_tokens=shard_tokens
    )
    write_manifest(out, {"train": entry}, vocab_size=vocab_size, eos_token_id=0)
    return TokenStore.open(out)


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 30), st.data())
def test_the_stream_does_not_depend_on_the_shard_size(documents, shard_tokens, data):
    expected = [token for ids, _ in documents for token in (*ids, 0)]
    with tempfile.TemporaryDirectory() as folder:
        split = pack(Path(folder), documents, shard_tokens).split("train")
        assert split.num_tokens == len(expected)
        start = data.draw(st.integers(0, len(expected)))
        length = data.draw(st.integers(0, len(expected) - start))
        tokens = split.read(start, length)
        assert tokens.dtype == np.int64
        assert tokens.tolist() == expected[start : start + length]
        for i, (ids, num_bytes) in enumerate(documents):
            assert split.document(i).tolist() == ids
            assert split.documents[i, 1] == num_bytes
        assert split.num_bytes == sum(num_bytes for _, num_bytes in documents)
        files = sorted(Path(folder).glob("*.bin"))
        assert b"".join(f.read_bytes() for f in files) == np.array(expected, "<u2").tobytes()
        assert all(f.stat().st_size == 2 * shard_tokens for f in files[:-1])


def test_the_bytes_of_a_store_are_pinned(tmp_path):
    # 0 ends each document, the empty one too; the third document runs over the border of two shards
    pack(tmp_path, [([1, 2], 3), ([], 0), ([3, 258, 4, 5], 7)], shard_tokens=6, vocab_size=300)
    found = {path.name: path.read_bytes() for path in tmp_path.glob("*.bin")}
    assert found == {
        "train-00000.bin": bytes([1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 2, 1]),
        "train-00001.bin": bytes([4, 0, 5, 0, 0, 0]),
    }
    assert np.load(tmp_path / "train.documents.npy").tolist() == [[0, 3], [3, 0], [4, 7]]
    assert json.loads((tmp_path / "packing.json").read_text()) == {
        "version": 1,
        "dtype": "<u2",
        "vocab_size": 300,
        "eos_token_id": 0,
        "splits": {
            "train": {
                "shards": [
                    {"file": "train-00000.bin", "tokens": 6},
                    {"file": "train-00001.bin", "tokens": 3},
                ],
                "documents": 3,
                "tokens": 9,
                "bytes": 10,
            }
        },
    }


@pytest.mark.parametrize(("vocab_size", "itemsize"), [(65_536, 2), (65_537, 4)])
def test_ids_take_two_bytes_up_to_65536_and_four_past_it(tmp_path, vocab_size, itemsize):
    ids = [1, vocab_size - 1]
    store = pack(tmp_path, [(ids, 5)], vocab_size=vocab_size)
    assert (tmp_path / "train-00000.bin").stat().st_size == 3 * itemsize
    assert store.split("train").document(0).tolist() == ids
    assert (store.vocab_size, store.eos_token_id, store.splits) == (vocab_size, 0, ("train",))


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        ([], "has no documents to pack"),
        ([([1], 1), ([2, 10], 1)], "Document 1 of train has token 10, outside the vocabulary of 10"),
        ([([1], 1)] * 4 + [([2], 1), ([10], 1)], "Document 5 of train has token 10"),
    ],
)
def test_what_cannot_be_packed_is_a_sentence(tmp_path, documents, sentence):
    with pytest.raises(DataError, match=sentence):
        pack(tmp_path, documents)


def test_reading_outside_the_stream_is_a_sentence(tmp_path):
    split = pack(tmp_path, [([1, 2], 2)]).split("train")
    for start, length in ((0, 4), (-1, 1), (4, 0), (1, -1)):
        with pytest.raises(DataError, match="it has 3 tokens"):
            split.read(start, length)
    for index in (-1, 1):
        with pytest.raises(DataError, match="it has 1"):
            split.document(index)


def test_a_store_that_is_missing_or_damaged_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"holds no packing\.json"):
        TokenStore.open(tmp_path)
    store = pack(tmp_path, [([1, 2], 2)])
    with pytest.raises(DataError, match="did you mean 'train'"):
        store.split("trian")
    (tmp_path / "train-00000.bin").write_bytes(b"\0\0")
    with pytest.raises(DataError, match="has 2 bytes, but its manifest says 6 bytes"):
        store.split("train")
    (tmp_path / "train-00000.bin").unlink()
    with pytest.raises(DataError, match="is missing"):
        store.split("train")
    (tmp_path / "packing.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(DataError, match="pack the corpus again"):
        TokenStore.open(tmp_path)
    (tmp_path / "packing.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        TokenStore.open(tmp_path)
