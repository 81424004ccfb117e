"""The packing stage: the same tokens whatever encodes, and a record of what did."""

import filecmp
import json

import numpy as np
import pytest

from lmexp import stages
from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.packing import PackingArtifact
from lmexp.stages.tokenizer import TokenizerArtifact
from lmexp.tokenizer.config import ENCODERS, ByteBPEConfig


def run_in(path):
    """Return what the engine would hand to a stage that fills `path`."""
    path.mkdir()
    return StageRun(
        out=path, work=path, log=lambda _: None, should_stop=lambda: False, cache=path.parent / "cache"
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_corpus):
    folder = tmp_path_factory.mktemp("inputs")
    config = build(
        CorpusConfig,
        {
            "files": [f"{small_corpus}/a*.txt"],
            "max_document_bytes": 2048,
            "test_fraction": 0.1,
            "validation_fraction": 0.1,
        },
    )
    stages.corpus.function(run_in(folder / "corpus"), config)
    corpus = CorpusArtifact(folder / "corpus")
    stages.tokenizer.function(run_in(folder / "tokenizer"), ByteBPEConfig(vocab_size=400), corpus=corpus)
    return {"corpus": corpus, "tokenizer": TokenizerArtifact(folder / "tokenizer")}


def test_tokens_do_not_depend_on_the_encoder_and_its_record_says_which_it_was(tmp_path, inputs):
    contents = []
    for name in ENCODERS:
        out = tmp_path / name
        metrics = stages.packing.function(run_in(out), PackingConfig(encoder=name), **inputs)
        record = json.loads((out / "encoder.json").read_text())
        assert record["encoder"] == name
        assert record["sample"]["bytes"] > 10_000
        assert record["texts_by_reference"] == 0
        contents.append({p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.name != "encoder.json"})
    assert contents[0] == contents[1] == contents[2]
    assert set(contents[0]) >= {"train-00000.bin", "train.documents.npy", "packing.json"}
    encoder = inputs["tokenizer"].load()
    for split in ("train", "validation", "test"):
        packed = PackingArtifact(tmp_path / "tiktoken").load().split(split)
        texts = [document.text for document in inputs["corpus"].documents(split)]
        expected = [token for text in texts for token in (*encoder.encode(text), encoder.eos_token_id)]
        assert packed.read(0, packed.num_tokens).tolist() == expected
        assert packed.documents[:, 1].tolist() == [len(text.encode()) for text in texts]
        assert metrics[f"{split}/documents"] == len(texts)
        assert metrics[f"{split}/bytes_per_token"] == packed.num_bytes / (len(expected) - len(texts))


@pytest.mark.parametrize("mode", ["best_fit", "bos_aligned"])
def test_rows_are_an_index_over_the_same_stream(tmp_path, inputs, mode):
    stages.packing.function(run_in(tmp_path / "stream"), PackingConfig(), **inputs)
    config = PackingConfig(mode=mode, context_length=128)
    metrics = stages.packing.function(run_in(tmp_path / "rows"), config, **inputs)
    for file in (tmp_path / "stream").glob("*.bin"):
        assert (tmp_path / "rows" / file.name).read_bytes() == file.read_bytes()
    samples = PackingArtifact(tmp_path / "rows").load().split("train").samples(128)
    assert samples.num_samples == metrics["train/rows"]
    valid = samples.num_valid(np.arange(samples.num_samples))
    assert valid == metrics["train/tokens"] - metrics["train/dropped_tokens"]
    assert metrics["train/padding"] == pytest.approx(1 - valid / (128 * samples.num_samples))
    assert (metrics["train/padding"] == 0) == (mode == "bos_aligned")
    assert (metrics["train/dropped_tokens"] == 0) == (mode == "best_fit")
    assert 0 < metrics["train/cut_documents"] <= 1
    other = PackingConfig(mode=mode, context_length=128, seed=1)
    stages.packing.function(run_in(tmp_path / "other"), other, **inputs)
    assert not filecmp.cmp(tmp_path / "rows/train.segments.npy", tmp_path / "other/train.segments.npy", False)
    if mode == "bos_aligned":
        assert metrics["train/first_skew"] <= 1.5 / metrics["train/rows"]
    else:
        assert 0 <= metrics["train/first_skew"] < 1
