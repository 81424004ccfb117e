"""The network of masked diffusion: that of `qwen3` under a full mask, without a probability of the mask."""

import pytest
import torch

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig, GPTConfig
from lmexp.models.folder import load_model, save_network
from lmexp.models.network import CausalNetwork

SHAPE = {"context_length": 12, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_model": 12}
V = 17


def awake(cls):
    model = build_model(cls(**SHAPE), V, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return model


def some_ids(*shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(3))


def test_logits_and_gradients_are_those_of_qwen3_under_a_full_mask_and_never_the_masks():
    model, causal = awake(DiffusionConfig), awake(GPTConfig)
    ids = some_ids(3, 11)
    full = torch.ones(3, 11, 11, dtype=torch.bool)
    found, expected = model(ids), causal.logits(causal.hidden_states(ids, mask=full))
    torch.testing.assert_close(found[..., :-1], expected[..., :-1], rtol=1e-10, atol=1e-10)
    assert (found[..., -1] == -torch.inf).all()
    torch.testing.assert_close(found.softmax(dim=-1).sum(dim=-1), torch.ones(3, 11).double())
    found[..., :-1].square().sum().backward()
    expected[..., :-1].square().sum().backward()
    of_causal = dict(causal.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, of_causal[name].grad, rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_every_token_sees_both_sides():
    model, ids = awake(DiffusionConfig), some_ids(1, 8)
    changed = ids.clone()
    changed[0, 5] = (changed[0, 5] + 1) % V
    moved = (model(ids) - model(changed))[..., :-1].abs().amax(dim=-1)
    assert (moved > 1e-6).all()
    assert not isinstance(model, CausalNetwork), "nobody may take it for one that sees the past alone"


@torch.no_grad()
def test_packed_documents_have_the_logits_of_each_document_alone():
    model, ids = awake(DiffusionConfig), some_ids(2, 12)
    documents = torch.tensor([[0] * 4 + [1] + [2] * 7, [0] * 12])
    found = model(ids, documents)
    alone = torch.cat([model(part) for part in ids[:1].split([4, 1, 7], dim=1)], dim=1)
    torch.testing.assert_close(found[:1], alone)
    torch.testing.assert_close(found[1:], model(ids[1:]))


def test_no_gradient_is_lost_or_infinite_for_want_of_the_mask():
    model = awake(DiffusionConfig)
    model(torch.zeros(2, 5, dtype=torch.int64)).log_softmax(dim=-1)[..., 3].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_it_says_that_its_nats_are_a_bound_and_is_saved_and_read_as_itself(tmp_path):
    model = awake(DiffusionConfig)
    assert (model.is_bound, awake(GPTConfig).is_bound) == (True, False)
    save_network(model, tmp_path, eos_token_id=0)
    again = load_model(tmp_path)
    assert (again.family, again.can) == ("diffusion", model.can)
    assert torch.equal(again(some_ids(2, 6)), model(some_ids(2, 6)))


def test_more_tokens_than_the_context_are_refused():
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        awake(DiffusionConfig)(some_ids(1, 13))
