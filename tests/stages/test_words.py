"""Stages over words: text whose vocabulary is closed loses nothing, and what other text loses is counted."""

import json
import math
import random

import pytest

from lmexp import stages
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.evals.config import PerplexityConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.families import NGramConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.tokenizer import MadeTokenizerConfig
from lmexp.tokenizer.config import ByteConfig, WordConfig

from .by_hand import Stages


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Stages(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def corpus(run, tmp_path_factory):
    """Sentences in the form of the Penn Treebank, one a line between spaces."""
    draw = random.Random(1)
    words = ["the", "cat", "dog", "<unk>", "sat", "ran", "on", "n't", ",", "N"]
    lines = [" " + " ".join(draw.choices(words, k=draw.randint(2, 9))) + " " for _ in range(400)]
    file = tmp_path_factory.mktemp("text") / "ptb.txt"
    file.write_text("\n".join(lines) + "\n")
    config = {
        "files": [str(file)], "document": "line", "strip": True, "deduplicate": False,
        "test_fraction": 0.2, "validation_fraction": 0.2,
    }  # fmt: skip
    return run(stages.corpus, build(CorpusConfig, config))


def made(run, kind, corpus):
    return run(stages.made_tokenizer, MadeTokenizerConfig(tokenizer=kind), corpus=corpus)


def measured(run, kind, corpus):
    tokenizer = made(run, kind, corpus)
    model = run(stages.ngram, NGramConfig(order=2), corpus=corpus, tokenizer=tokenizer)
    artifact = run(stages.perplexity, PerplexityConfig(), model=model, tokenizer=tokenizer, corpus=corpus)
    rows = [json.loads(line) for line in (artifact.path / "test.jsonl").read_text().splitlines()]
    return run.metrics, rows


def test_of_a_closed_vocabulary_nothing_is_lost_and_bits_are_of_the_bytes_of_the_text(run, corpus):
    metrics, rows = measured(run, WordConfig(), corpus)
    texts = [document.text for document in corpus.documents("test")]
    assert (metrics["test/lost_bytes"], metrics["test/lost_share"]) == (0, 0)
    assert [row["tokens"] for row in rows] == [len(text.split()) for text in texts]
    nats = math.fsum(row["nll_sum"] for row in rows)
    num_bytes = sum(len(text.encode()) for text in texts)
    assert metrics["test/bits_per_byte"] == pytest.approx(nats / math.log(2) / num_bytes)
    assert metrics["test/perplexity"] == pytest.approx(metrics["test/word_perplexity"]), "a token is a word"


def test_what_is_lost_of_each_document_stands_in_its_row(run, corpus):
    metrics, rows = measured(run, WordConfig(vocab_size=6), corpus)
    tokenizer = made(run, WordConfig(vocab_size=6), corpus).load()
    kept = {tokenizer.decode([i]) for i in range(5)}
    expected = [
        sum(len(word) for word in document.text.split() if word not in kept)
        for document in corpus.documents("test")
    ]
    assert [row["lost_bytes"] for row in rows] == expected
    assert metrics["test/lost_bytes"] == sum(expected) > 0
    assert metrics["test/lost_share"] == sum(expected) / sum(row["bytes"] for row in rows)


def test_a_lossless_tokenizers_metrics_do_not_speak_of_it(run, corpus):
    metrics, rows = measured(run, ByteConfig(), corpus)
    assert not any("lost" in key for key in (*metrics, *rows[0]))


def test_words_are_packed_with_ends_between_sentences_and_written_with_spaces(run, corpus):
    tokenizer = made(run, WordConfig(), corpus)
    store = run(stages.packing, PackingConfig(), corpus=corpus, tokenizer=tokenizer).load()
    documents = [document.text.split() for document in corpus.documents("train")]
    assert store.eos_token_id == tokenizer.load().eos_token_id == 10
    assert run.metrics["train/tokens"] == sum(len(words) + 1 for words in documents)
    model = run(stages.ngram, NGramConfig(order=2), corpus=corpus, tokenizer=tokenizer)
    config = SamplesConfig(prompts=("the cat", ""), num_samples=2, max_new_tokens=6)
    samples = run(stages.samples, config, model=model, tokenizer=tokenizer)
    rows = [json.loads(line) for line in (samples.path / "samples.jsonl").read_text().splitlines()]
    words = set(" ".join(map(" ".join, documents)).split())
    for row in rows:
        assert set(row["text"].split()) <= words
        assert row["text"] == "" or row["text"].startswith(" ") == bool(row["prompt"])


def test_the_true_model_scores_the_whole_text_also_what_words_lose(run):
    config = {
        "sources": {
            "known": {
                "kind": "known",
                "process": "markov",
                "num_documents": 60,
                "num_lines": 4,
                "line_length": 9,
            }
        },
        "test_fraction": 0.3,
    }
    corpus = run(stages.corpus, build(CorpusConfig, config))
    words, _ = measured(run, WordConfig(min_count=1), corpus)
    plain, _ = measured(run, ByteConfig(), corpus)
    assert words["test/lost_share"] > 0
    assert words["test/true_bits_per_byte"] == pytest.approx(plain["test/true_bits_per_byte"], rel=1e-12)
