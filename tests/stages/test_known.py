"""On text of known entropy the true model is right, and a trained one is worse by less and less."""

import json
import math

import pytest

from lmexp import stages
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.evals.config import PerplexityConfig
from lmexp.packing.config import PackingConfig
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.training.config import PretrainConfig

from ..conftest import lmexp_run
from .by_hand import Stages

STEPS = (20, 60, 200)
CORPUS = build(
    CorpusConfig,
    {
        "sources": {
            "truth": {
                "kind": "known",
                "num_symbols": 4,
                "order": 1,
                "line_length": 7,
                "num_documents": 1000,
                "num_lines": 8,
            }
        },
        "test_fraction": 0.3,
    },
)


def pretraining(max_steps):
    model = {"context_length": 32, "num_layers": 1, "num_heads": 2, "num_kv_heads": 2, "d_model": 32}
    return build(
        PretrainConfig,
        {
            "model": model,
            "optimizer": {"lr": 1e-2, "weight_decay": 0.0},
            "schedule": {"warmup_steps": min(10, max_steps)},
            "trainer": {"max_steps": max_steps, "accelerator": "cpu"},
            "global_batch_size": 16,
            "checkpoint_every_steps": 1000,
        },
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The metrics of perplexity after each of `STEPS`, and the folder of the last one."""
    run = Stages(tmp_path_factory.mktemp("known"))
    corpus = run(stages.corpus, CORPUS)
    tokenizer = run(stages.tokenizer, ByteBPEConfig(vocab_size=257), corpus=corpus)
    packing = run(stages.packing, PackingConfig(), corpus=corpus, tokenizer=tokenizer)
    found = {}
    for steps in STEPS:
        model = run(stages.pretrain, pretraining(steps), packing=packing, tokenizer=tokenizer)
        artifact = run(
            stages.perplexity, PerplexityConfig(stride=32), model=model, tokenizer=tokenizer, corpus=corpus
        )
        found[steps] = run.metrics
    return found, artifact


def test_the_true_models_cross_entropy_is_the_exact_entropy_within_its_interval(measured):
    found, _ = measured
    metrics = found[STEPS[0]]
    error = metrics["test/true_bits_per_byte/stderr"]
    assert error < 0.01 * metrics["test/entropy_bits_per_byte"]
    assert abs(metrics["test/true_bits_per_byte"] - metrics["test/entropy_bits_per_byte"]) < 2 * error
    assert len({m["test/true_bits_per_byte"] for m in found.values()}) == 1  # the model plays no part


def test_the_trained_models_regret_is_positive_and_falls_with_steps(measured):
    regrets = [m["test/regret_bits_per_byte"] for m in measured[0].values()]
    errors = [m["test/regret_bits_per_byte/stderr"] for m in measured[0].values()]
    assert all(regret > 3 * error for regret, error in zip(regrets, errors, strict=True))
    assert regrets[0] > 2 * regrets[1] > 2.5 * regrets[2], regrets
    for metrics in measured[0].values():
        regret = metrics["test/bits_per_byte"] - metrics["test/true_bits_per_byte"]
        assert metrics["test/regret_bits_per_byte"] == pytest.approx(regret)


def test_each_documents_row_holds_both_models(measured):
    found, artifact = measured
    rows = [json.loads(line) for line in (artifact.path / "test.jsonl").read_text().splitlines()]
    metrics = found[STEPS[-1]]
    assert len(rows) == metrics["test/documents"]
    true_bits = math.fsum(row["true_nll_sum"] for row in rows) / math.log(2)
    assert true_bits / sum(row["bytes"] for row in rows) == pytest.approx(metrics["test/true_bits_per_byte"])
    assert rows[0]["true_bits_per_byte"] == pytest.approx(
        rows[0]["true_nll_sum"] / math.log(2) / rows[0]["bytes"]
    )
    assert (metrics["context_length"], metrics["stride"]) == (32, 32)


def test_the_command_draws_trains_and_reports_entropy_truth_and_regret(tmp_path):
    done = lmexp_run(
        tmp_path / "store",
        "+experiment=known",
        "corpus.sources.known.process=grammar",
        "corpus.sources.known.num_documents=150",
        "trainer.max_steps=5",
        "schedule.warmup_steps=1",
        "only=[perplexity]",
        "tracking.mode=off",
    )
    assert done.returncode == 0, done.stderr
    metrics = find_run(Store(tmp_path / "store"), "last").metrics
    entropy = metrics["perplexity/test/entropy_bits_per_byte"]
    assert metrics["corpus/known/entropy_bits_per_byte"] == entropy
    table = done.stdout.splitlines()
    rows = {line.split()[1]: line.split()[2] for line in table if line.startswith("perplexity/test ")}
    assert rows["entropy"] == f"{entropy:.3f}"
    assert rows["true"] == f"{metrics['perplexity/test/true_bits_per_byte']:.3f}"
    assert float(rows["regret"]) > 0.5
