"""The ngram stage: counts of the train split, as a model that every evaluation takes."""

import itertools
import math

import numpy as np
import pytest

from lmexp import load_model, load_tokenizer, stages
from lmexp.core.values.config import build
from lmexp.evals.config import PerplexityConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.families import NGramConfig
from lmexp.models.families.ngram import counts
from lmexp.stages.model_artifact import ModelArtifact
from tests.models.families.ngram.slow import SlowKneserNey
from tests.stages.test_packing import inputs, run_in

__all__ = ["inputs"]


@pytest.fixture(scope="module")
def counted(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("ngram") / "out"
    metrics = stages.ngram.function(run_in(out), NGramConfig(order=3), **inputs)
    return ModelArtifact(out), metrics


def test_it_gives_each_document_what_an_obvious_dictionary_of_its_tokens_gives(inputs, counted):
    model, tokenizer = counted[0].load(), inputs["tokenizer"].load()
    bos = tokenizer.bos_token_id
    documents = [tokenizer.encode(d.text) for d in inputs["corpus"].documents("train")]
    slow = SlowKneserNey(documents, 3, tokenizer.vocab_size, bos)
    held_out = [tokenizer.encode(d.text) for d in inputs["corpus"].documents("test")]
    for ids in held_out[:3]:
        (found,) = model.score([((), ids)], bos)
        expected = [math.log(slow.probability([bos, *ids[:i]], token)) for i, token in enumerate(ids)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_its_folder_is_a_model_with_its_tokenizer(inputs, counted):
    artifact, metrics = counted
    model, tokenizer = load_model(artifact.path), load_tokenizer(artifact.path)
    assert (model.family, model.vocab_size) == ("ngram", tokenizer.vocab_size)
    assert metrics["vocab_size"] == tokenizer.vocab_size
    assert tokenizer.encode("a text") == inputs["tokenizer"].load().encode("a text")


def test_perplexity_and_samples_take_it_as_any_model(inputs, counted, tmp_path):
    artifact, tokenizer = counted[0], inputs["tokenizer"]
    config = build(PerplexityConfig, {"splits": ["test"]})
    found = stages.perplexity.function(
        run_in(tmp_path / "perplexity"), config, model=artifact, tokenizer=tokenizer, corpus=inputs["corpus"]
    )
    model, encoder = artifact.load(), tokenizer.load()
    texts = [document.text for document in inputs["corpus"].documents("test")]
    scores = model.score([((), encoder.encode(text)) for text in texts], encoder.bos_token_id)
    nats = -sum(float(score.sum()) for score in scores)
    size = sum(len(text.encode()) for text in texts)
    assert found["test/bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-12)
    assert "context_length" not in found
    sampling = build(SamplesConfig, {"prompts": ["", "the"], "num_samples": 2, "max_new_tokens": 20})
    written = stages.samples.function(
        run_in(tmp_path / "samples"), sampling, model=artifact, tokenizer=tokenizer
    )
    assert written["texts"] == 4


def test_perplexity_counts_what_is_infinite_and_marks_what_is_no_distribution(inputs, tmp_path):
    found = {}
    for kind in ("maximum_likelihood", "stupid_backoff", "modified_kneser_ney", "jelinek_mercer"):
        out = tmp_path / kind
        stage = stages.ngram.function(run_in(out), NGramConfig(order=4, smoothing=kind), **inputs)
        found[kind] = stages.perplexity.function(
            run_in(tmp_path / f"{kind}-perplexity"),
            build(PerplexityConfig, {"splits": ["test"]}),
            model=ModelArtifact(out),
            tokenizer=inputs["tokenizer"],
            corpus=inputs["corpus"],
        )
        assert ("discount_4_3" in stage) == (kind == "modified_kneser_ney")
        assert ("interpolation_weight_4" in stage) == (kind == "jelinek_mercer")
    assert found["maximum_likelihood"]["test/zero_tokens"] > 0
    assert "test/bits_per_byte" not in found["maximum_likelihood"]
    assert found["stupid_backoff"]["test/is_normalized"] == 0
    assert "test/is_normalized" not in found["modified_kneser_ney"]
    assert 0 < found["modified_kneser_ney"]["test/bits_per_byte"] < 8


def test_a_text_past_memory_gives_the_same_files(inputs, counted, tmp_path, monkeypatch):
    original = counts.count
    monkeypatch.setattr(
        "lmexp.models.families.ngram.model.count",
        lambda *arguments, **names: original(*arguments, **names, chunk_tokens=4_000, most_chunks=2),
    )
    stages.ngram.function(run_in(tmp_path / "again"), NGramConfig(order=3), **inputs)
    assert counted[0].load().counts.counts[-1].sum() > 3 * 4_000  # chunks
    for path in counted[0].path.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == sorted(
        p.name for p in counted[0].path.iterdir()
    )


def test_its_steps_are_its_scores(inputs, counted):
    model, encoder = counted[0].load(), inputs["tokenizer"].load()
    ids = encoder.encode(next(iter(inputs["corpus"].documents("test"))).text)[:40]
    (scores,) = model.score([((), ids)], encoder.bos_token_id)
    state = model.begin(1)
    for (before, token), score in zip(itertools.pairwise([encoder.bos_token_id, *ids]), scores, strict=True):
        log_probs = model.step(np.array([[before]]), [1], state)
        assert log_probs[0, token] == pytest.approx(score, rel=1e-12)
