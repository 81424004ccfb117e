"""The tokenizer stage: what it reads, and what its report says."""

import hashlib
import json

import pytest

from lmexp import stages
from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import build
from lmexp.corpus.build import split_of
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import DataError
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.tokenizer import MadeTokenizerConfig, TokenizerArtifact
from lmexp.tokenizer import report
from lmexp.tokenizer.config import ByteBPEConfig, ByteConfig, WordConfig
from lmexp.tokenizer.roles import END_OF_TEXT

WORDS = {"train": "zyxwvu", "validation": "qqkkjj", "test": "wwxxzz"}
"""A word for each split, which no document of another one has."""


def run_in(path):
    """Return what the engine would hand to a stage that fills `path`."""
    path.mkdir()
    return StageRun(
        out=path, work=path, log=lambda _: None, should_stop=lambda: False, cache=path.parent / "cache"
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus in which each split's word is by far the most frequent one of its split."""
    folder = tmp_path_factory.mktemp("corpus")
    config = {"files": [str(folder / "planted.jsonl")], "test_fraction": 0.2, "validation_fraction": 0.2}
    built = build(CorpusConfig, config)
    texts = []
    for i in range(200):
        for split, word in WORDS.items():
            text = f"{i} {END_OF_TEXT} " + f"{word} " * 50
            if split_of(hashlib.sha256(text.encode()).digest(), built) == split:
                texts.append(text)
    (folder / "planted.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    stages.corpus.function(run_in(folder / "artifact"), built)
    return CorpusArtifact(folder / "artifact")


def test_only_the_train_split_shapes_the_vocabulary(tmp_path, corpus):
    for split, word in WORDS.items():
        texts = [document.text for document in corpus.documents(split)]
        assert len(texts) > 10
        assert all(word in text for text in texts)
    stages.tokenizer.function(run_in(tmp_path / "out"), ByteBPEConfig(vocab_size=280), corpus=corpus)
    trained = TokenizerArtifact(tmp_path / "out").load()
    contents = b"|".join(trained.token_contents)
    assert WORDS["train"].encode() in contents
    assert not any(pair in contents for pair in (b"qq", b"kk", b"jj", b"ww", b"xx", b"zz"))


def test_the_report_is_over_every_validation_document(tmp_path, corpus):
    metrics = stages.tokenizer.function(
        run_in(tmp_path / "out"), ByteBPEConfig(vocab_size=270, train_bytes=20_000), corpus=corpus
    )
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    texts = [document.text for document in corpus.documents("validation")]
    encoder = TokenizerArtifact(tmp_path / "out").load()
    tokens = sum(len(encoder.encode(text)) for text in texts)
    validation = found["validation"]
    assert (validation["texts"], validation["tokens"]) == (len(texts), tokens)
    assert metrics["validation/bytes_per_token"] == sum(len(text.encode()) for text in texts) / tokens
    assert metrics["vocab_size"] == found["vocab_size"] == encoder.vocab_size
    assert metrics["train/bytes"] == found["train"]["bytes"] <= 20_000 < corpus.num_bytes("train")
    assert metrics["validation/unused_tokens"] == validation["unused_tokens"]
    assert found["encoder"]["encoder"] == "gigatoken"


def test_a_document_that_does_not_come_back_is_named(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(report, "first_changed", lambda *_: 7)
    name = [document.id for document in corpus.documents("validation")][7]
    with pytest.raises(DataError, match=f"The document '{name}' of validation is not what its tokens"):
        stages.tokenizer.function(run_in(tmp_path / "out"), ByteBPEConfig(vocab_size=260), corpus=corpus)


def test_what_a_lossy_kind_loses_is_counted_over_every_validation_document(tmp_path, corpus):
    config = MadeTokenizerConfig(tokenizer=WordConfig(vocab_size=40))
    metrics = stages.made_tokenizer.function(run_in(tmp_path / "out"), config, corpus=corpus)
    found = json.loads((tmp_path / "out" / "report.json").read_text())["validation"]
    made = TokenizerArtifact(tmp_path / "out").load()
    lost = tokens = 0
    for document in corpus.documents("validation"):
        words = document.text.split()
        kept = [word for word in words if made.encode(word) != [0]]
        tokens += len(words)
        # each text ends in a space, which no word has
        lost += len(document.text.encode()) - len(" ".join(words).encode())
        lost += sum(len(word.encode()) for word in words) - sum(len(word.encode()) for word in kept)
    assert metrics["validation/lost_bytes"] == found["lost_bytes"] == lost
    assert metrics["validation/lost_share"] == lost / found["bytes"]
    assert found["tokens"] == tokens
    assert found["lost_examples"][0]["instead"] == "<unk>"


def test_a_kind_that_learns_nothing_is_measured_like_any_other(tmp_path, corpus):
    config = MadeTokenizerConfig(tokenizer=ByteConfig())
    metrics = stages.made_tokenizer.function(run_in(tmp_path / "out"), config, corpus=corpus)
    assert (metrics["vocab_size"], metrics["validation/bytes_per_token"]) == (257, 1.0)
    used = set("".join(document.text for document in corpus.documents("validation")).encode())
    assert metrics["validation/unused_tokens"] == 256 - len(used)
    text = next(corpus.documents("test")).text
    made = TokenizerArtifact(tmp_path / "out").load()
    assert made.decode(made.encode(text)) == text
