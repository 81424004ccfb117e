"""The perplexity stage: what it reads, in which windows, and what it writes for each document."""

import json
import math

import pytest
import torch

from lmexp import stages
from lmexp.core.graph.stage import StageRun
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.documents import text_hash
from lmexp.errors import ConfigError
from lmexp.evals.config import PerplexityConfig
from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig, GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.models.folder import save_network
from lmexp.stages.perplexity import held_out
from lmexp.tokenizer.config import ByteBPEConfig

from .by_hand import Stages


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """An untrained model, a tokenizer and a corpus of 80 documents."""
    folder = tmp_path_factory.mktemp("perplexity")
    file = folder / "rows.jsonl"
    texts = [f"{'word ' * (i % 9)}number {i} é" for i in range(80)]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "stages").mkdir()
    run = Stages(folder / "stages")
    corpus = run(stages.corpus, CorpusConfig(files=(str(file),), test_fraction=0.5, validation_fraction=0.2))
    tokenizer = run(stages.tokenizer, ByteBPEConfig(vocab_size=270), corpus=corpus)
    config = GPTConfig(context_length=16, num_layers=1, num_heads=1, num_kv_heads=1, d_model=16)
    network = GPT(config, tokenizer.load().vocab_size, seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():  # at its start, a model's output ignores the context
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    save_network(network, folder / "model", eos_token_id=0)
    model = stages.ModelArtifact(folder / "model")
    return run, {"model": model, "tokenizer": tokenizer, "corpus": corpus}


def test_rows_and_metrics_are_of_the_same_documents(inputs):
    run, artifacts = inputs
    artifact = run(stages.perplexity, PerplexityConfig(splits=("validation", "test")), **artifacts)
    assert (run.metrics["context_length"], run.metrics["stride"]) == (16, 8)
    for split in ("validation", "test"):
        rows = [json.loads(line) for line in (artifact.path / f"{split}.jsonl").read_text().splitlines()]
        documents = list(artifacts["corpus"].documents(split))
        assert [row["id"] for row in rows] == [document.id for document in documents]
        assert [row["bytes"] for row in rows] == [len(document.text.encode()) for document in documents]
        nats = math.fsum(row["nll_sum"] for row in rows)
        words = sum(len(document.text.split()) for document in documents)
        assert run.metrics[f"{split}/word_perplexity"] == pytest.approx(math.exp(nats / words))
        assert run.metrics[f"{split}/loss/stderr"] > 0
        assert run.metrics[f"{split}/gzip_bits_per_byte"] > 0
        assert f"{split}/true_bits_per_byte" not in run.metrics  # nobody knows the truth of this text


def test_what_was_stopped_goes_on_with_the_next_chunk_and_makes_the_same_bytes(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(stages.perplexity.function.__globals__, "CHUNK_CHARACTERS", 200)
    _, artifacts = inputs
    config = PerplexityConfig(splits=("validation", "test"))

    def call(name, work, stop_at):
        (tmp_path / name).mkdir()
        answers = iter(range(1, 99))
        run = StageRun(
            out=tmp_path / name,
            work=tmp_path / work,
            log=print,
            should_stop=lambda: next(answers) >= stop_at,
            cache=tmp_path,
        )
        return stages.perplexity.function(run, config, **artifacts)

    whole = call("whole", "work", 99)
    chunks = len(list((tmp_path / "work" / "checkpoints").glob("*.ckpt")))
    assert chunks > 4
    assert call("cut", "again", 2) == call("cut2", "again", 3) == {"stopped": 1}
    assert len(list((tmp_path / "again" / "checkpoints").glob("*.ckpt"))) == 3
    assert call("rest", "again", 99) == whole
    for split in ("validation", "test"):
        file = f"{split}.jsonl"
        assert (tmp_path / "rest" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_windows_are_those_of_the_configuration(inputs):
    run, artifacts = inputs
    run(stages.perplexity, PerplexityConfig(context_length=10), **artifacts)
    assert (run.metrics["context_length"], run.metrics["stride"]) == (10, 5)
    halves = run.metrics["test/loss"]
    run(stages.perplexity, PerplexityConfig(context_length=10, stride=10), **artifacts)
    assert (run.metrics["context_length"], run.metrics["stride"]) == (10, 10)
    assert run.metrics["test/loss"] != halves
    with pytest.raises(ConfigError, match=r"context_length \(17\) must be at most the model's context, 16"):
        run(stages.perplexity, PerplexityConfig(context_length=17), **artifacts)


def test_a_limit_takes_the_documents_of_lowest_hash_and_without_one_nothing_is_held(inputs):
    _, artifacts = inputs
    corpus = artifacts["corpus"]
    expected = sorted(corpus.documents("test"), key=lambda document: text_hash(document.text))
    assert list(held_out(corpus, "test", 7)()) == expected[:7]
    assert list(held_out(corpus, "test", 1000)()) == expected
    streamed = held_out(corpus, "test", None)
    assert list(streamed()) == list(streamed()) == list(corpus.documents("test"))
    assert not isinstance(streamed(), list)


def test_a_bound_is_measured_as_one_and_more_draws_leave_less_open(inputs, tmp_path):
    run, artifacts = inputs
    config = DiffusionConfig(context_length=16, num_layers=1, num_heads=1, num_kv_heads=1, d_model=16)
    vocab_size = artifacts["tokenizer"].load().vocab_size + 1
    save_network(build_model(config, vocab_size), tmp_path, eos_token_id=0)
    artifacts = {**artifacts, "model": stages.ModelArtifact(tmp_path)}
    errors = []
    for draws in (4, 64):
        artifact = run(stages.perplexity, PerplexityConfig(limit=9, draws=draws), **artifacts)
        found = run.metrics
        assert (found["context_length"], found["stride"], found["draws"]) == (15, 7, draws)
        assert found["test/is_bound"] == 1
        # untrained, it gives all tokens alike the same, the mask aside
        assert found["test/loss"] == pytest.approx(math.log(vocab_size - 1), rel=0.02)
        rows = [json.loads(line) for line in (artifact.path / "test.jsonl").read_text().splitlines()]
        nats, error = found["test/loss"], math.sqrt(sum(row["nll_variance"] for row in rows))
        assert nats * found["test/tokens"] == pytest.approx(sum(row["nll_sum"] for row in rows))
        assert found["test/loss/draws_stderr"] * found["test/tokens"] == pytest.approx(error)
        errors.append(error)
    assert errors[1] < errors[0] / 2
    run(stages.perplexity, PerplexityConfig(limit=2), **{**artifacts, "model": inputs[1]["model"]})
    assert not {"draws", "test/is_bound", "test/loss/draws_stderr"} & run.metrics.keys()
