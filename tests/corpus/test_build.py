"""The corpus build: splits by hash, exact deduplication, identical bytes, sentences for empty splits."""

import hashlib
import json

import pytest

from lmexp.corpus.build import build_corpus
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.shards import SPLITS, iter_documents
from lmexp.errors import DataError


def write_rows(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return CorpusConfig(files=(str(path),), validation_fraction=0.2, test_fraction=0.1)


def make(config, out):
    out.mkdir()
    return build_corpus(config, out, cache=out, content={})


def test_splits_follow_the_hash_of_the_text_alone(tmp_path):
    texts = [f"document {i} é" for i in range(200)]
    config = write_rows(tmp_path / "rows.jsonl", texts + texts[:7] + [" "])
    metrics = make(config, tmp_path / "out")
    expected = {"train": [], "validation": [], "test": []}
    for i, text in enumerate(texts, 1):
        u = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
        split = "test" if u < 0.1 else "validation" if u < 0.1 + 0.2 else "train"
        expected[split].append((f"rows.jsonl:{i}", text))
    for split in SPLITS:
        assert [(d.id, d.text) for d in iter_documents(tmp_path / "out", split)] == expected[split]
        assert metrics[f"{split}/documents"] == len(expected[split])
        assert metrics[f"{split}/bytes"] == sum(len(text.encode()) for _, text in expected[split])
    assert metrics["documents"] == 200
    assert metrics["characters"] == sum(map(len, texts))
    assert metrics["dropped/duplicate"] == 7
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["dropped"] == {"duplicate": 7, "only whitespace": 1}
    assert card["sources"] == {"files": {"kind": "local", "column": "text"}}
    assert card["bytes"] == metrics["bytes"]
    assert card["splits"]["test"]["documents"] == metrics["test/documents"]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    config = write_rows(tmp_path / "rows.jsonl", [f"text {i}" for i in range(100)])
    make(config, tmp_path / "one")
    make(config, tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["card.json", "test-00000.parquet", "train-00000.parquet", "validation-00000.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_empty_corpus_and_an_empty_split_say_what_to_do(tmp_path):
    config = write_rows(tmp_path / "none.jsonl", [" ", "\n"])
    with pytest.raises(DataError, match="The corpus is empty"):
        make(config, tmp_path / "a")
    config = write_rows(tmp_path / "one.jsonl", ["only one"])
    with pytest.raises(DataError) as error:
        make(config, tmp_path / "b")
    sentence = str(error.value)
    assert "has 1 document," in sentence
    assert "corpus.max_document_bytes (now 8192)" in sentence
    assert "add documents" in sentence
