"""Positions and masks: packed documents, shared prefixes and caches against each text alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.models.families import GPT2Config
from lmexp.models.layers.attention import attention, causal_attention
from lmexp.models.layers.visibility import document_mask
from tests.models.families.qwen3.test_network import SHAPES, awake

GPT2 = GPT2Config(context_length=12, num_layers=2, num_heads=3, d_model=12)
families = pytest.mark.parametrize("config", [SHAPES[0], GPT2], ids=["qwen3", "gpt2"])


def some_ids(*shape: int) -> torch.Tensor:
    return torch.randint(17, shape, generator=torch.Generator().manual_seed(0))


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6).map(sorted), min_size=1, max_size=3))
def test_a_document_mask_is_that_of_a_slow_double_loop(rows):
    positions, mask = document_mask(torch.tensor(rows))
    assert positions.dtype == torch.int64
    for row, where, sees in zip(rows, positions.tolist(), mask.tolist(), strict=True):
        for t, document in enumerate(row):
            assert where[t] == t - row.index(document)
            assert sees[t] == [row[s] == document and s <= t for s in range(6)]


@families
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@torch.no_grad()
def test_packed_documents_have_the_logits_of_each_document_alone(config, dtype, atol):
    model = awake(config).to(dtype)
    ids, lengths = some_ids(2, 12), [[4, 1, 7], [12]]
    document_ids = torch.stack(
        [torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in lengths]
    )
    packed = model(ids, document_ids)
    for row, logits, own in zip(ids, packed, lengths, strict=True):
        alone = torch.cat([model(document[None])[0] for document in row.split(own)])
        torch.testing.assert_close(logits, alone, rtol=1e-5, atol=atol)
    assert (packed[0] - model(ids)[0])[4:].abs().max() > 1e-3, "the mask must matter"


@families
def test_masked_gradients_are_those_of_the_documents_alone(config):
    model, ids = awake(config), some_ids(1, 12)
    documents = torch.tensor([[0] * 5 + [1] * 7])
    weights = tuple(model.parameters())
    packed = torch.autograd.grad(model(ids, documents).square().sum(), weights)
    alone = torch.autograd.grad(sum(model(part).square().sum() for part in ids.split([5, 7], dim=1)), weights)
    torch.testing.assert_close(packed, alone, rtol=1e-9, atol=1e-9)


@families
@torch.no_grad()
def test_continuations_beside_each_other_after_one_prefix_score_as_if_each_stood_alone(config):
    """More times than the context holds, at positions that it does: the prefix is read once."""
    model, prefix = awake(config), some_ids(8)
    endings = [some_ids(n + 1)[1:] for n in (4, 2, 3)]
    ids = torch.cat([prefix, *endings])[None]
    owner = torch.cat([torch.full((len(e),), i) for i, e in enumerate([prefix, *endings])])
    times = torch.arange(len(owner))
    mask = (times[:, None] >= times) & ((owner[:, None] == owner) | (owner == 0))
    positions = torch.cat([torch.arange(8), *(8 + torch.arange(len(e)) for e in endings)])
    assert len(times) > config.context_length
    found = model.logits(model.hidden_states(ids, positions=positions[None], mask=mask[None]))[0]
    for i, ending in enumerate(endings, 1):
        alone = model(torch.cat([prefix, ending])[None])[0]
        torch.testing.assert_close(found[owner == i], alone[8:], rtol=1e-9, atol=1e-9)


@families
@torch.no_grad()
def test_a_cached_prefix_serves_masked_continuations(config):
    model, prefix, rest = awake(config), some_ids(1, 5), some_ids(1, 9)[:, 5:]
    state = model.new_state(1)
    model.hidden_states(prefix, state=state)
    mask = torch.ones(1, 4, 9, dtype=torch.bool).tril(diagonal=5)
    mask[:, 2:, 5:7] = False  # two continuations of two tokens each
    found = model.logits(
        model.hidden_states(rest, state=state, positions=torch.tensor([[5, 6, 5, 6]]), mask=mask)
    )
    for part in (slice(0, 2), slice(2, 4)):
        alone = model(torch.cat([prefix, rest[:, part]], dim=1))[:, 5:]
        torch.testing.assert_close(found[:, part], alone, rtol=1e-9, atol=1e-9)


@families
@torch.no_grad()
def test_the_default_positions_and_mask_given_explicitly_change_nothing(config):
    model, ids = awake(config), some_ids(2, 9)
    positions, mask = document_mask(torch.zeros(2, 9, dtype=torch.int64))
    for arguments in ({"positions": positions, "mask": mask}, {"positions": positions}):
        found = model.logits(model.hidden_states(ids, **arguments))
        torch.testing.assert_close(found, model(ids), rtol=1e-10, atol=1e-10)


def test_a_triangular_mask_is_causal_attention_also_of_groups():
    q, k, v = torch.randn(3, 2, 7, 4, 8, generator=torch.Generator().manual_seed(1)).double()
    k, v = k[:, :, :2], v[:, :, :2]
    mask = torch.ones(2, 7, 7, dtype=torch.bool).tril()
    torch.testing.assert_close(attention(q, k, v, mask), causal_attention(q, k, v), rtol=1e-10, atol=1e-12)


@families
def test_autocast_multiplies_in_bfloat16_under_a_mask(config):
    model, ids = awake(config).float(), some_ids(2, 12)
    documents = torch.tensor([[0] * 5 + [1] * 7, [0] * 12])
    full = model(ids, documents)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(ids, documents)
    assert mixed.dtype == torch.bfloat16
    assert float(((mixed.float() - full).norm() / full.norm()).detach()) < 0.03


@families
def test_a_position_past_the_context_is_refused_in_a_sentence(config):
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        awake(config).hidden_states(some_ids(1, 2), positions=torch.tensor([[0, 12]]))
