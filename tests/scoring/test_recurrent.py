"""Networks without a context score any length: piece by piece with a carried state, as in one pass."""

import math

import numpy as np
import pytest
import torch

from lmexp.evals.perplexity import evaluate_perplexity
from lmexp.models.build import build_model
from lmexp.models.families import GRUConfig, LSTMConfig, MLPConfig, RNNConfig
from lmexp.scoring import network as scoring
from lmexp.scoring.scorer import scorer_of

V, BOS = 17, 0


CONFIGS = {
    "mlp": MLPConfig(order=4, d_model=12, d_ff=10),
    "rnn": RNNConfig(num_layers=2, d_model=12),
    "gru": GRUConfig(num_layers=2, d_model=12),
    "lstm": LSTMConfig(num_layers=2, d_model=12),
}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    model = build_model(CONFIGS[request.param], V, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4, generator=generator)
    return model


def one_pass(model, ids):
    """The nats of each token in one unbroken pass, in fp32."""
    with torch.no_grad():
        logits = model(torch.tensor([[BOS, *ids[:-1]]]))[0]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="none").numpy()


@pytest.mark.parametrize("piece", [1, 7, 512])
def test_perplexity_through_a_carried_state_is_that_of_one_unbroken_pass(model, piece, monkeypatch):
    monkeypatch.setattr(scoring, "PIECE", piece)
    generator = np.random.default_rng(3)
    texts = [generator.integers(1, V, size).tolist() for size in (1, 40, 1300, 700)]
    documents = [(str(i), ids, len(ids), 1) for i, ids in enumerate(texts)]
    scorer = scorer_of(model, batch_size=2, bos_token_id=BOS)
    assert scorer.context_length is None
    rows, metrics = evaluate_perplexity(scorer, documents, context_length=None)
    expected = [float(one_pass(model, ids).sum(dtype=np.float64)) for ids in texts]
    for row, nats in zip(rows, expected, strict=True):
        assert row["nll_sum"] == pytest.approx(nats, rel=1e-6)
    loss = sum(expected) / sum(map(len, texts))
    assert metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)


def test_the_scores_of_a_continuation_are_those_of_the_text_that_it_ends(model):
    ids = np.random.default_rng(5).integers(1, V, 60).tolist()
    (found,) = scorer_of(model, batch_size=4, bos_token_id=BOS).score([(ids[:45], ids[45:])])
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]]))[0, 44:]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[45:]), reduction="none")
    np.testing.assert_allclose(-found, expected.numpy(), atol=1e-5)
