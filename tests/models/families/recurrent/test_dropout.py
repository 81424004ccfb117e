"""What a recurrent network drops in training: against cells written out, and the shares that are dropped."""

import dataclasses

import numpy as np
import pytest
import torch

from lmexp.models.build import build_model
from lmexp.models.families import GRUConfig, LSTMConfig, MLPConfig, RNNConfig
from lmexp.training.objectives.noise import Noise

from ..made import V, awake, some_ids

B, T = 3, 7
RATES = {
    "word_dropout": 0.3,
    "embedding_dropout": 0.5,
    "layer_dropout": 0.4,
    "output_dropout": 0.2,
    "weight_dropout": 0.5,
}
CONFIGS = [
    RNNConfig(num_layers=3, d_model=6, **RATES, variational=False),
    GRUConfig(num_layers=1, d_model=6, **RATES),
    LSTMConfig(num_layers=2, d_model=6, **RATES),
]
families = pytest.mark.parametrize("config", CONFIGS, ids=["rnn", "gru", "lstm"])


def drawn(model, samples=range(B), step=4, num_tokens=T):
    noise = Noise(1, step)
    return model.draw_masks([noise.masks_of(sample) for sample in samples], noise.masks(), num_tokens)


def cell(config, weights, layer, mask, x, state):
    """Return the next state (h,) or (h, c) of one row."""
    u = weights[f"cells.weight_hh_l{layer}"] * mask
    from_x = weights[f"cells.weight_ih_l{layer}"] @ x + weights[f"cells.bias_ih_l{layer}"]
    from_h = u @ state[0] + weights[f"cells.bias_hh_l{layer}"]
    if config.cell == "rnn":
        return ((from_x + from_h).tanh(),)
    width = config.d_model
    from_x, from_h = from_x.split(width), from_h.split(width)
    if config.cell == "gru":
        r, z = ((from_x[k] + from_h[k]).sigmoid() for k in (0, 1))
        return ((1 - z) * (from_x[2] + r * from_h[2]).tanh() + z * state[0],)
    i, f, o = ((from_x[k] + from_h[k]).sigmoid() for k in (0, 1, 3))
    memory = f * state[1] + i * (from_x[2] + from_h[2]).tanh()
    return (o * memory.tanh(), memory)


def written_out(model, ids, masks, row):
    """Return the logits of one row, what is dropped multiplied in at each time."""
    config, weights = model.config, dict(model.named_parameters())
    zeros = (torch.zeros(config.d_model, dtype=torch.float64),) * (2 if config.cell == "lstm" else 1)
    states, outputs = [zeros] * config.num_layers, []
    for t, i in enumerate(ids.tolist()):
        place = 0 if config.variational else t
        x = weights["embedding.weight"][i] * masks["words"][i] * masks["embeddings"][row, place]
        for layer in range(config.num_layers):
            states[layer] = cell(config, weights, layer, masks["weights"][layer], x, states[layer])
            x = states[layer][0] * masks["layers"][row, layer, place]
        outputs.append(x)
    return torch.stack(outputs) @ weights["embedding.weight"].T


@families
def test_a_training_pass_is_that_of_the_cells_written_out_with_what_is_dropped(config):
    model, ids = awake(config), some_ids(B, T)
    masks, parameters = drawn(model), tuple(model.parameters())
    with model.dropping(masks):
        ours = model(ids)
    theirs = torch.stack([written_out(model, ids[row], masks, row) for row in range(B)])
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad(logits.sin().sum(), parameters) for logits in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)


@families
def test_dropping_ends_with_its_pass_and_a_state_goes_through_it(config):
    model, ids = awake(config), some_ids(B, T)
    before, masks = model(ids), drawn(model)
    with model.dropping(masks):
        dropped = model(ids)
    assert not torch.allclose(before, dropped)
    assert torch.equal(model(ids), before)
    if config.variational:
        state = model.new_state(B)
        with model.dropping(masks):
            pieces = [model.logits(model.hidden_states(part, state=state)) for part in ids.split([3, 4], 1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), dropped, rtol=1e-10, atol=1e-12)


@families
def test_documents_of_a_sample_share_what_is_dropped_and_nothing_else(config):
    model, ids = awake(config), some_ids(B, T)
    documents, masks = torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * B), drawn(model)
    with model.dropping(masks):
        packed = model(ids, documents)
    for begin, end in ((0, 3), (3, 7)):
        times = slice(None) if config.variational else slice(begin, end)
        own = masks | {"embeddings": masks["embeddings"][:, times], "layers": masks["layers"][:, :, times]}
        with model.dropping(own):
            alone = model(ids[:, begin:end])
        torch.testing.assert_close(packed[:, begin:end], alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("variational", [True, False])
def test_each_place_is_dropped_with_its_rate_and_what_stays_keeps_the_mean(variational):
    config = dataclasses.replace(CONFIGS[2], d_model=60, variational=variational)
    model = build_model(config, 4000)
    masks = drawn(model, samples=range(30), num_tokens=5)
    places = 30 * 60 * (1 if variational else 5)
    for found, rate, count in [
        (masks["words"], 0.3, 4000),
        (masks["embeddings"], 0.5, places),
        (masks["layers"][:, 0], 0.4, places),
        (masks["layers"][:, 1], 0.2, places),
        (masks["weights"], 0.5, 2 * 4 * 60 * 60),
    ]:
        assert found.numel() == count
        assert set(found.unique().tolist()) == {0.0, float(np.float32(1 / (1 - rate)))}
        share = float((found == 0).double().mean())
        assert abs(share - rate) < 4.5 * (rate * (1 - rate) / count) ** 0.5


def test_a_sample_is_dropped_alike_whatever_stands_beside_it_and_otherwise_in_another_step():
    model = awake(CONFIGS[2])
    first, again, later = drawn(model), drawn(model, samples=[2, 5]), drawn(model, step=5)
    for name in ("embeddings", "layers"):
        assert torch.equal(first[name][2], again[name][0])
        assert not torch.equal(first[name][1], first[name][2])
        assert not torch.equal(first[name], later[name])
    for name in ("words", "weights"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], later[name])


def test_a_network_drops_if_a_rate_is_above_zero():
    for config in (LSTMConfig(num_layers=2, d_model=6), MLPConfig(d_model=6)):
        assert not build_model(config, V).drops
    for name in RATES:
        assert build_model(LSTMConfig(num_layers=2, d_model=6, **{name: 0.1}), V).drops


@families
@torch.no_grad()
def test_autocast_stays_near_full_precision(config):
    model, ids = awake(config).float(), some_ids(B, T)
    with model.dropping(drawn(model)):
        full = model(ids)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(ids)
    assert float((mixed.float() - full).norm() / full.norm()) < 0.05
