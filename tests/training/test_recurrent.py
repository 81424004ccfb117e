"""Training of networks that read without a limit: it resumes to the same bits, and it learns."""

import numpy as np
import pytest
import torch

from tests.training.pretrain_runs import ArrayTokens, run, tiny, train

CARRY = {"carry_state": True, "train_samples": 60}  # 5 steps an epoch
DROPS = {"word_dropout": 0.2, "embedding_dropout": 0.3, "layer_dropout": 0.4, "output_dropout": 0.2}
SHAPES = {
    "rnn": {"architecture": "rnn", "num_layers": 1, "d_model": 24, "tie_embeddings": False},
    "lstm": {"architecture": "lstm", "num_layers": 2, "d_model": 12, "tie_embeddings": False},
    "dropping gru": {"architecture": "gru", "d_model": 12, **DROPS, "weight_dropout": 0.3},
    "mlp": {"architecture": "mlp", "order": 4, "d_model": 6, "d_ff": 12, "direct": True},
}
families = pytest.mark.parametrize("family", SHAPES)


def same_bits(ours, theirs):
    return all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def resumed(changes, directory, *stops):
    """Return the last result and the whole curve of a training that was stopped after these steps."""
    curve = []
    for stop_after in (*stops, None):
        result, points = run(changes, directory, stop_after)
        curve += points
    return result, curve


@pytest.mark.parametrize("more", [{}, CARRY], ids=["", "carried"])
@families
def test_a_training_that_was_stopped_ends_in_the_same_bits_as_one_that_ran_through(tmp_path, family, more):
    changes = {"model": SHAPES[family], "sample_length": 8, "micro_batch_size": 4, **more}
    whole, curve = run(changes, tmp_path / "whole")
    result, again = resumed(changes, tmp_path / "parts", 3, 7)
    for key in ("step", "train/loss", "grad_norm"):
        assert [p[key] for p in again] == [p[key] for p in curve]
    assert same_bits(result.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize("family", ["rnn", "mlp"])
def test_a_model_learns_what_follows_two_tokens_to_its_exact_entropy(tmp_path, family):
    symbols, generator = 4, np.random.default_rng(1)
    chain = generator.dirichlet([0.3] * symbols, size=(symbols, symbols))
    walk = np.zeros(40_000, dtype=np.int64)
    for i in range(2, len(walk)):
        walk[i] = generator.choice(symbols, p=chain[walk[i - 2], walk[i - 1]])
    config = tiny(
        **{
            "model": SHAPES[family],
            "sample_length": 16,
            "trainer.precision": "32-true",
            "trainer.max_steps": 300,
            "trainer.log_every_n_steps": 100,
            "optimizer": {"lr": 3e-2, "weight_decay": 0.0},
            "global_batch_size": 32,
        }
    )
    result = train(config, tmp_path, tokens=ArrayTokens(walk[:32_000]), vocab_size=symbols)
    fresh = torch.from_numpy(walk[32_000:]).view(500, 16)
    with torch.no_grad():
        scores = result.model(fresh[:, :-1]).log_softmax(-1)[:, 1:]
    expected = np.log(chain)[fresh[:, :-2], fresh[:, 1:-1]]
    chosen = fresh[:, 2:, None]
    excess = (torch.from_numpy(expected) - scores).gather(-1, chosen).mean()  # the divergence, nearly
    assert -0.005 < float(excess) < 0.03
    assert float(-torch.from_numpy(expected).gather(-1, chosen).mean()) < np.log(symbols) - 0.4
