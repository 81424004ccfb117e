"""The model of a fixed window against its formula written out, and against itself read in other pieces."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.models.build import build_model
from lmexp.models.families import MLPConfig
from lmexp.models.families.mlp.network import WindowState

from ..made import V, awake, some_ids

CONFIGS = [MLPConfig(order=4, d_model=5, d_ff=7), MLPConfig(order=2, d_model=5, d_ff=6, direct=True)]
shapes = pytest.mark.parametrize("config", CONFIGS, ids=["plain", "direct"])


def written_out(model, ids):
    """Return the logits of one row, b + U tanh(d + H x) + W x for one token after the other."""
    config, weights = model.config, dict(model.named_parameters())
    nothing = torch.zeros(config.d_model, dtype=torch.float64)
    u, w = weights["lm_head.weight"].split([config.d_ff, len(weights["lm_head.weight"].T) - config.d_ff], 1)
    rows = []
    for t in range(len(ids)):
        seen = [t - back for back in range(config.order - 2, -1, -1)]
        x = torch.cat([weights["embedding.weight"][ids[i]] if i >= 0 else nothing for i in seen])
        logits = weights["lm_head.bias"] + u @ (weights["inner.bias"] + weights["inner.weight"] @ x).tanh()
        rows.append(logits + w @ x if config.direct else logits)
    return torch.stack(rows)


@shapes
def test_logits_and_gradients_are_those_of_the_formula_written_out(config):
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


@shapes
@torch.no_grad()
def test_a_token_changes_the_predictions_whose_window_holds_it_and_no_other(config):
    model, ids = awake(config), some_ids(1, 12)
    changed = ids.clone()
    changed[0, 5] = (changed[0, 5] + 1) % V
    differs = (model(ids) != model(changed)).any(dim=2)[0].tolist()
    assert differs == [5 <= t < 5 + config.order - 1 for t in range(12)]


@shapes
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
@torch.no_grad()
def test_a_text_read_in_pieces_gives_what_it_gives_as_a_whole(config, pieces):
    model, ids = awake(config), some_ids(3, sum(pieces))
    state = model.new_state(3)
    found = [model.logits(model.hidden_states(piece, state=state)) for piece in ids.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(found, dim=1), model(ids), rtol=1e-10, atol=1e-12)


@shapes
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
    assert torch.allclose(packed[0], model(ids)[0]) == (config.order == 2), "the border must matter"


@shapes
@torch.no_grad()
def test_rows_of_unequal_length_move_their_own_state_on(config):
    model, ids, lengths = awake(config), some_ids(3, 7), [7, 1, 4]
    state = model.begin(3)
    first = model.step(ids.numpy(), lengths, state)
    second = model.step(ids[:, :1].numpy(), [1, 1, 1], state)
    for row, length in enumerate(lengths):
        read = torch.cat((ids[row, :length], ids[row, :1]))[None]
        torch.testing.assert_close(first[row], model(read)[0, length - 1], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(second[row], model(read)[0, length], rtol=1e-10, atol=1e-12)


@shapes
@torch.no_grad()
def test_rows_of_a_state_can_be_taken_and_joined(config):
    model, ids = awake(config), some_ids(3, 5)
    state = model.begin(3)
    model.step(ids.numpy(), [5, 5, 5], state)
    joined = WindowState.join([state.take([2]), state.take([0, 0])])
    found = model.step(ids[:, :1].numpy(), [1, 1, 1], joined)
    for row, (read, then) in enumerate([(2, 0), (0, 1), (0, 2)]):
        whole = torch.cat((ids[read], ids[then, :1]))[None]
        torch.testing.assert_close(found[row], model(whole)[0, -1], rtol=1e-10, atol=1e-12)


@shapes
@torch.no_grad()
def test_the_next_token_has_probabilities_that_sum_to_one_over_the_vocabulary(config):
    logits = awake(config)(some_ids(2, 9))
    assert logits.shape == (2, 9, V)
    torch.testing.assert_close(logits.softmax(dim=2).sum(dim=2), torch.ones(2, 9, dtype=torch.float64))


@shapes
def test_weights_come_from_the_seed_alone_and_leave_the_global_random_state(config):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models = [build_model(config, V, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_weights_start_with_the_spread_that_is_stated():
    model = build_model(MLPConfig(order=4, d_model=40, d_ff=90, direct=True, init_std=0.3), 200)
    for weight, std in [
        (model.embedding.weight, 0.3),
        (model.inner.weight, 120**-0.5),
        (model.lm_head.weight, 210**-0.5),
    ]:
        error = float(weight.detach().std()) / std - 1
        assert abs(error) < 4 / math.sqrt(2 * weight.numel())
    assert not model.inner.bias.any()
    assert not model.lm_head.bias.any()


def test_each_parameter_has_the_role_that_optimizers_read():
    kinds = {name: role.kind for name, role in build_model(CONFIGS[1], V).roles().items()}
    assert kinds == {
        "embedding.weight": "embedding",
        "inner.weight": "hidden",
        "inner.bias": "vector",
        "lm_head.weight": "head",
        "lm_head.bias": "vector",
    }
