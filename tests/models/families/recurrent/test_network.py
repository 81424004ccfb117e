"""Recurrent networks against cells written out, and against themselves read in other pieces."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.models.build import build_model
from lmexp.models.families import GRUConfig, LSTMConfig, RNNConfig
from lmexp.models.families.recurrent.network import RecurrentState

from ..made import V, awake, some_ids

EOS = 0
CONFIGS = [
    RNNConfig(num_layers=2, d_model=6),
    GRUConfig(num_layers=2, d_model=6),
    LSTMConfig(num_layers=2, d_model=6, tie_embeddings=False),
]
families = pytest.mark.parametrize("config", CONFIGS, ids=["rnn", "gru", "lstm"])


def written_out(model, ids):
    """Return the logits of one row, the cells written out for one layer, time and gate after the other."""
    config, width = model.config, model.config.d_model
    weights = dict(model.named_parameters())
    inputs = [weights["embedding.weight"][i] for i in ids]
    for layer in range(config.num_layers):
        w, u = weights[f"cells.weight_ih_l{layer}"], weights[f"cells.weight_hh_l{layer}"]
        b, c = weights[f"cells.bias_ih_l{layer}"], weights[f"cells.bias_hh_l{layer}"]
        h = memory = torch.zeros(width, dtype=torch.float64)
        outputs = []
        for x in inputs:
            from_x, from_h = (w @ x + b).split(width), (u @ h + c).split(width)
            if config.cell == "rnn":
                h = (from_x[0] + from_h[0]).tanh()
            elif config.cell == "gru":
                r, z = (1 / (1 + (-(from_x[k] + from_h[k])).exp()) for k in (0, 1))
                n = (from_x[2] + r * from_h[2]).tanh()
                h = (1 - z) * n + z * h
            else:
                i, f, o = (1 / (1 + (-(from_x[k] + from_h[k])).exp()) for k in (0, 1, 3))
                memory = f * memory + i * (from_x[2] + from_h[2]).tanh()
                h = o * memory.tanh()
            outputs.append(h)
        inputs = outputs
    head = weights["embedding.weight"] if config.tie_embeddings else weights["lm_head.weight"]
    return torch.stack(inputs) @ head.T


@families
def test_logits_and_gradients_are_those_of_the_cells_written_out(config):
    model, ids = awake(config), some_ids(9)
    weights = tuple(model.parameters())
    ours, theirs = model(ids[None])[0], written_out(model, ids)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    targets = some_ids(18)[9:]
    gradients = [
        torch.autograd.grad(torch.nn.functional.cross_entropy(logits, targets), weights)
        for logits in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@families
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
@torch.no_grad()
def test_a_text_read_in_pieces_gives_what_it_gives_as_a_whole(config, pieces):
    model, ids = awake(config), some_ids(3, sum(pieces))
    state = model.new_state(3)
    found = [model.logits(model.hidden_states(piece, state=state)) for piece in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(found, dim=1), model(ids), rtol=1e-10, atol=1e-12)


@families
@torch.no_grad()
def test_the_future_changes_nothing(config):
    model, ids = awake(config), some_ids(1, 8)
    changed = ids.clone()
    changed[0, 5:] = (changed[0, 5:] + 1) % V
    assert torch.equal(model(ids)[:, :5], model(changed)[:, :5])
    assert not torch.allclose(model(ids)[:, 5:], model(changed)[:, 5:])


@families
def test_packed_documents_have_the_logits_and_gradients_of_each_document_alone(config):
    model, ids, lengths = awake(config), some_ids(3, 12), [[4, 1, 7], [12], [1, 1, 10]]
    documents = torch.stack([torch.repeat_interleave(torch.arange(len(r)), torch.tensor(r)) for r in lengths])
    weights = tuple(model.parameters())
    packed = model(ids, documents)
    alone = torch.stack(
        [
            torch.cat([model(document[None])[0] for document in row.split(own)])
            for row, own in zip(ids, lengths, strict=True)
        ]
    )
    torch.testing.assert_close(packed, alone, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad(logits.square().sum(), weights) for logits in (packed, alone)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)
    assert not torch.allclose(packed[0], model(ids)[0]), "the border must matter"


@families
@torch.no_grad()
def test_rows_of_unequal_length_move_their_own_state_on(config):
    model, ids, lengths = awake(config), some_ids(3, 7), [7, 2, 4]
    state = model.begin(3)
    first = model.step(ids.numpy(), lengths, state)
    second = model.step(ids[:, :1].numpy(), [1, 1, 1], state)
    for row, length in enumerate(lengths):
        read = torch.cat((ids[row, :length], ids[row, :1]))[None]
        torch.testing.assert_close(first[row], model(read)[0, length - 1], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(second[row], model(read)[0, length], rtol=1e-10, atol=1e-12)


@families
@torch.no_grad()
def test_rows_of_a_state_can_be_taken_and_joined(config):
    model, ids = awake(config), some_ids(3, 5)
    state = model.begin(3)
    model.step(ids.numpy(), [5, 5, 5], state)
    joined = RecurrentState.join([state.take([2]), state.take([0, 0])])
    found = model.step(ids[:, :1].numpy(), [1, 1, 1], joined)
    for row, (read, then) in enumerate([(2, 0), (0, 1), (0, 2)]):
        whole = torch.cat((ids[read], ids[then, :1]))[None]
        torch.testing.assert_close(found[row], model(whole)[0, -1], rtol=1e-10, atol=1e-12)


@families
def test_weights_come_from_the_seed_alone_and_leave_the_global_random_state(config):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models = [build_model(config, V, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_lstm_remembers_at_first():
    model = build_model(LSTMConfig(num_layers=1, d_model=400), V)
    forget = model.cells.bias_ih_l0.detach()[400:800]
    assert abs(float(forget.mean()) - 1) < 4 * math.sqrt(1 / 3 / 400) / math.sqrt(400)


@families
def test_each_parameter_has_the_role_that_optimizers_read(config):
    kinds = {name: role.kind for name, role in build_model(config, V).roles().items()}
    assert kinds.pop("embedding.weight") == "embedding"
    assert kinds.pop("lm_head.weight", "head") == "head"
    assert {kinds[name] for name in kinds if "weight" in name} == {"hidden"}
    assert {kinds[name] for name in kinds if "bias" in name} == {"vector"}


@families
@torch.no_grad()
def test_autocast_and_long_texts_stay_near_full_precision(config):
    model, ids = awake(config).float(), some_ids(2, 40)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(ids)
    full = model(ids)
    assert float((mixed.float() - full).norm() / full.norm()) < 0.05
