"""The audit stage: every family that gives next tokens a probability passes, and what it reads is told."""

import json

import numpy as np
import pytest
import torch

from lmexp import stages
from lmexp.core.values.config import build, to_dict
from lmexp.core.values.sealed import write_sealed
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import DataError
from lmexp.evals.audit.config import AuditConfig
from lmexp.evals.config import PerplexityConfig
from lmexp.models.build import build_model, count_model
from lmexp.models.families import MODELS, NETWORKS
from lmexp.models.folder import save_counts, save_network
from lmexp.scoring.config import ContinuousCacheConfig
from lmexp.stages.tokenizer import MadeTokenizerConfig
from lmexp.tokenizer.config import ByteBPEConfig, WordConfig

from ..by_hand import Stages

SMALL = {"context_length": 16, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_model": 16, "order": 3}
FAMILIES = sorted(name for name in MODELS.kinds if MODELS.kinds[name]().can & {"next_token", "any_order"})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Stages by hand, a tokenizer and a corpus of 60 documents."""
    folder = tmp_path_factory.mktemp("audit")
    file = folder / "rows.jsonl"
    texts = [f"{'word ' * (i % 9)}number {i} is é {i * i} times" for i in range(60)]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "stages").mkdir()
    run = Stages(folder / "stages")
    corpus = run(stages.corpus, CorpusConfig(files=(str(file),), test_fraction=0.4))
    tokenizer = run(stages.tokenizer, ByteBPEConfig(vocab_size=270), corpus=corpus)
    return run, {"tokenizer": tokenizer, "corpus": corpus}


def small(family, inputs, folder):
    """Save a small model of the family with random weights, or counts, and return its artifact."""
    cls, tokenizer = MODELS.kinds[family], inputs["tokenizer"].load()
    config = build(cls, {name: value for name, value in SMALL.items() if hasattr(cls, name)})
    bos, vocab_size = tokenizer.bos_token_id, tokenizer.vocab_size
    if family not in NETWORKS.kinds:
        rows = [[bos, *tokenizer.encode(d.text)] for d in inputs["corpus"].documents("train")]
        counted = count_model(config, map(np.array, rows), vocab_size=vocab_size, bos_token_id=bos)
        save_counts(counted, folder)
        return stages.ModelArtifact(folder)
    has_mask = int("any_order" in config.can)  # one id more, which no text has
    network = build_model(config, vocab_size + has_mask, seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():  # at its start, a model's output ignores the context
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    folder.mkdir(exist_ok=True)
    save_network(network, folder, eos_token_id=tokenizer.eos_token_id)
    return stages.ModelArtifact(folder)


def rows_of(artifact):
    return [json.loads(line) for line in (artifact.path / "audit.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_shipped_family_passes(family, inputs, tmp_path):
    run, artifacts = inputs
    model = small(family, artifacts, tmp_path / "model")
    config = AuditConfig(documents=5, contexts=3, tokens=20)
    rows = rows_of(run(stages.audit, config, model=model, **artifacts))
    verdicts = {row["check"]: (row["verdict"], row["reason"]) for row in rows}
    assert verdicts.pop("test_split") == (
        "unknown",
        "what made the model is not all known: model has no record.",
    )
    assert {verdict for verdict, _ in verdicts.values()} == {"pass"}, verdicts
    both = {"other_documents", "batches", "figures", "bytes"}
    asked = both | ({"bound"} if model.load().is_bound else {"sums_to_one", "chain_rule", "later_tokens"})
    assert set(verdicts) == asked
    assert run.metrics == {"passed": len(verdicts), "failed": 0, "unknown": 1}
    worst = {row["check"]: row["figure"] for row in rows}
    assert worst.get("sums_to_one", 0) < 2e-6
    assert max(worst.get(name, 0) for name in ("chain_rule", "later_tokens", "batches", "figures")) < 2e-5


def test_a_network_with_a_leak_in_it_fails(inputs, tmp_path, monkeypatch):
    from lmexp.models.families.recurrent.network import NETWORK

    run, artifacts = inputs
    model = small("gru", artifacts, tmp_path / "model")
    plain = NETWORK.hidden_states

    def leaking(self, ids, **more):
        hidden = plain(self, ids, **more)
        return hidden + 0.5 * torch.roll(hidden, -1, dims=1)

    monkeypatch.setattr(NETWORK, "hidden_states", leaking)
    config = AuditConfig(documents=5, contexts=3, tokens=20)
    rows = {row["check"]: row for row in rows_of(run(stages.audit, config, model=model, **artifacts))}
    assert rows["sums_to_one"]["verdict"] == "pass", "the leak makes no sum wrong"
    assert rows["later_tokens"]["reason"].endswith("a later token is seen.")
    assert rows["chain_rule"]["verdict"] == "fail"


def test_what_gives_no_next_token_a_probability_is_refused(inputs, tmp_path):
    run, artifacts = inputs
    model = small("encoder", artifacts, tmp_path / "model")
    with pytest.raises(DataError, match=r"audit cannot use this model, of the family encoder"):
        run(stages.audit, AuditConfig(), model=model, **artifacts)


@pytest.mark.parametrize(
    "smoothing", ["maximum_likelihood", "add_k", "modified_kneser_ney", "stupid_backoff"]
)
def test_of_n_grams_only_what_is_no_distribution_fails(smoothing, inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(SMALL, "smoothing", smoothing)
    run, artifacts = inputs
    model = small("ngram", artifacts, tmp_path / "model")
    rows = rows_of(
        run(stages.audit, AuditConfig(documents=5, contexts=6, tokens=20), model=model, **artifacts)
    )
    failed = {row["check"]: row["reason"] for row in rows if row["verdict"] == "fail"}
    assert set(failed) == (set() if model.load().is_normalized else {"sums_to_one"}), failed


def test_a_tokenizer_that_loses_text_fails_by_the_bytes_that_it_loses(inputs, tmp_path):
    run, artifacts = inputs
    words = MadeTokenizerConfig(tokenizer=WordConfig())
    tokenizer = run(stages.made_tokenizer, words, corpus=artifacts["corpus"])
    own = {**artifacts, "tokenizer": tokenizer}
    model = small("ngram", own, tmp_path / "model")
    rows = {row["check"]: row for row in rows_of(run(stages.audit, AuditConfig(), model=model, **own))}
    assert rows["bytes"]["verdict"] == "fail"
    assert rows["bytes"]["figure"] > 0
    assert "and it has" in rows["bytes"]["reason"]
    assert rows["sums_to_one"]["verdict"] == "pass"


def test_the_scorer_that_is_asked_is_that_of_the_perplexity_given(inputs, tmp_path, monkeypatch):
    from lmexp.scoring.continuous_cache import ContinuousCacheScorer

    run, artifacts = inputs
    model = small("gru", artifacts, tmp_path / "model")
    config = PerplexityConfig(continuous_cache=ContinuousCacheConfig(num_tokens=20, weight=0.3))
    made = tmp_path / "perplexity"
    made.mkdir()
    write_sealed(made / "artifact.json", {"config": to_dict(config), "files": {}})
    artifacts = {**artifacts, "model": model, "perplexity": stages.PerplexityArtifact(made)}
    audit = AuditConfig(documents=5, contexts=3, tokens=20)
    rows = {row["check"]: row for row in rows_of(run(stages.audit, audit, **artifacts))}
    assert {row["verdict"] for row in rows.values()} == {"pass", "unknown"}
    plain = ContinuousCacheScorer._remembered

    def twice(self, *words):
        return plain(self, *words) + np.log(2)

    monkeypatch.setattr(ContinuousCacheScorer, "_remembered", twice)
    rows = {row["check"]: row for row in rows_of(run(stages.audit, audit, **artifacts))}
    assert rows["sums_to_one"]["verdict"] == "fail"
    assert rows["sums_to_one"]["figure"] == pytest.approx(0.3, abs=1e-3), "the cache has a weight of 0.3"
