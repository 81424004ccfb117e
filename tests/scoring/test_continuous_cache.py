"""A memory of the document that is scored, against its formula one token after the other."""

import math

import numpy as np
import pytest
import torch

from lmexp.core.graph.stage import Upstream
from lmexp.errors import ConfigError, DataError
from lmexp.evals.config import PerplexityConfig
from lmexp.evals.needs import check_perplexity
from lmexp.models.build import build_model, count_model
from lmexp.models.families import GPTConfig, LSTMConfig, MLPConfig, NGramConfig
from lmexp.scoring import continuous_cache
from lmexp.scoring.config import ContinuousCacheConfig
from lmexp.scoring.scorer import scorer_of
from tests.training.pretrain_runs import tiny

V, BOS = 9, 0
CONFIGS = {
    "lstm": LSTMConfig(num_layers=1, d_model=6),
    "mlp": MLPConfig(order=3, d_model=4, d_ff=5, direct=True),
}
CACHE = ContinuousCacheConfig(num_tokens=7, weight=0.3, flatness=0.8)


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    model = build_model(CONFIGS[request.param], V, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.6, generator=generator)
    return model


def texts(*lengths):
    generator = np.random.default_rng(3)
    return [generator.integers(1, V, length).tolist() for length in lengths]


@torch.no_grad()
def slow(model, read, cache):
    """Return the distributions [T, V] of each token of `read` but the first, a double loop over times."""
    states = model.hidden_states(torch.tensor([read[:-1]]))[0].double().numpy()
    own = model.logits(model.hidden_states(torch.tensor([read[:-1]]))[0]).double().softmax(-1).numpy()
    rows = []
    for t in range(len(read) - 1):
        remembered, total = np.zeros(V), 0.0
        for i in range(max(0, t - cache.num_tokens), t):
            likeness = math.exp(cache.flatness * float(states[t] @ states[i]))
            remembered[read[i + 1]] += likeness
            total += likeness
        rows.append((1 - cache.weight) * own[t] + cache.weight * remembered / total if total else own[t])
    return np.array(rows)


@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_scores_are_those_of_the_formula_one_token_after_the_other(model, at_once, monkeypatch):
    monkeypatch.setattr(continuous_cache, "_AT_ONCE", at_once)
    documents = texts(1, 30, 12)
    scorer = scorer_of(model, bos_token_id=BOS, cache=CACHE)
    found = scorer.score([((), ids) for ids in documents])
    for ids, scores in zip(documents, found, strict=True):
        expected = np.log(slow(model, [BOS, *ids], CACHE)[np.arange(len(ids)), ids])
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_all_continuations_of_a_context_have_probabilities_that_sum_to_one(model):
    (context,) = texts(20)
    scorer = scorer_of(model, bos_token_id=BOS, cache=CACHE)
    found = np.concatenate(scorer.score([(context, [token]) for token in range(V)]))
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(found, np.log(slow(model, [*context, 1], CACHE)[-1]), atol=1e-5)


def test_a_document_s_scores_depend_on_no_other_and_on_no_later_token(model):
    first, second = texts(25, 14)
    scorer = scorer_of(model, bos_token_id=BOS, cache=CACHE)
    together = scorer.score([((), first), ((), second)])
    (alone,) = scorer.score([((), second)])
    np.testing.assert_allclose(together[1], alone, atol=1e-6)
    changed = [*first[:-1], first[-1] % (V - 1) + 1]
    (other,) = scorer.score([((), changed)])
    np.testing.assert_allclose(other[:-1], together[0][:-1], atol=1e-6)


def test_a_text_that_repeats_itself_gains():
    model = build_model(CONFIGS["lstm"], V, seed=1)
    ids = texts(6)[0] * 8
    plain, cached = (
        scorer_of(model, bos_token_id=BOS, cache=cache).score([((), ids)])[0].sum() for cache in (None, CACHE)
    )
    assert cached > plain + 1


def test_models_and_windows_with_which_nothing_is_remembered_are_refused():
    ngram = count_model(NGramConfig(order=2), [np.array([0, 1, 2])], vocab_size=V, bos_token_id=BOS)
    with pytest.raises(DataError, match=r"continuous_cache .* a model of the family ngram has none; set"):
        scorer_of(ngram, bos_token_id=BOS, cache=CACHE)
    gpt = build_model(GPTConfig(context_length=8, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8), V)
    with pytest.raises(DataError, match="here it is read in windows"):
        scorer_of(gpt, bos_token_id=BOS, cache=CACHE)
    with pytest.raises(ConfigError, match=r"context_length \(9\) cuts it into windows"):
        PerplexityConfig(continuous_cache=CACHE, context_length=9)
    above = {"pretrain": Upstream(config=tiny(), metrics=None)}
    with pytest.raises(ConfigError, match="this model has a context of 8 tokens"):
        check_perplexity(PerplexityConfig(continuous_cache=CACHE), above)
    check_perplexity(PerplexityConfig(), above)
