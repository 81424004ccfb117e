"""GPT-2 against the text that describes it; test_folder compares its logits with transformers'."""

import math

import pytest
import torch
from torch.nn import functional

from lmexp.core.values.config import Config, build, identity, option
from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS, GPT2Config
from lmexp.models.families.gpt2.network import GPT2
from tests.models.families.qwen3.test_network import awake

SHAPE = {"context_length": 12, "num_layers": 2, "num_heads": 3, "d_model": 12}


def test_initial_weights_have_the_published_spread():
    config = GPT2Config(**{**SHAPE, "num_layers": 8, "d_model": 240, "context_length": 256})
    for name, parameter in build_model(config, 300).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        else:
            expected = 0.02 / math.sqrt(16) if "c_proj" in name else 0.02
            assert float(parameter.detach().std()) == pytest.approx(expected, rel=0.02), name
            assert abs(float(parameter.detach().mean())) < expected / 50, name


def test_a_seed_fixes_the_weights_and_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build_model(GPT2Config(**SHAPE), 17, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = (build_model(GPT2Config(**SHAPE), 17, seed=seed).state_dict() for seed in (7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transformer.wte.weight"], other["transformer.wte.weight"])


def test_a_later_token_changes_no_earlier_logit_and_changes_its_own():
    model = awake(GPT2Config(**SHAPE))
    ids = torch.arange(10)[None]
    changed = ids.clone()
    changed[0, 6] = 16
    before, after = model(ids)[0], model(changed)[0]
    assert torch.equal(before[:6], after[:6])
    assert (before[6:] - after[6:]).abs().amax(dim=-1).min() > 1e-6


def test_a_token_is_read_by_where_it_stands():
    model = awake(GPT2Config(**SHAPE))
    same = model.hidden_states(torch.full((1, 3), 5))
    assert (same[0, 1] - same[0, 2]).abs().max() > 1e-6
    without = torch.zeros_like(model.transformer.wpe.weight)
    model.transformer.wpe.weight.data = without
    same = model.hidden_states(torch.full((1, 3), 5))
    torch.testing.assert_close(same[0, 1], same[0, 2])


def test_autocast_multiplies_in_bfloat16_and_stays_near_full_precision():
    model = awake(GPT2Config(**SHAPE)).float()
    ids = torch.arange(12)[None]
    full = model(ids)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(ids)
    assert mixed.dtype == torch.bfloat16
    assert float(((mixed.float() - full).norm() / full.norm()).detach()) < 0.03


def test_training_it_lowers_its_loss():
    model = build_model(GPT2Config(**SHAPE), 17)
    assert isinstance(model, GPT2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    ids = torch.randint(17, (4, 12), generator=torch.Generator().manual_seed(0))
    for _ in range(60):
        loss = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5


class Chosen(Config):
    model: ModelConfig = option(NETWORKS.default(), one_of=NETWORKS)


@pytest.mark.parametrize(
    ("field", "value"), [("num_kv_heads", 1), ("head_dim", 4), ("rope_theta", 5e5), ("init_offset", 1.0)]
)
def test_a_field_of_the_other_family_is_refused_in_a_sentence(field, value):
    words = rf"^model\.{field} does not apply to architecture gpt2, only to qwen3, diffusion; leave it out"
    with pytest.raises(ConfigError, match=words):
        build(Chosen, {"model": {"architecture": "gpt2", **SHAPE, field: value}})


def test_records_of_when_both_families_had_one_configuration_are_read():
    recorded = {"num_kv_heads": 4, "head_dim": None, "rope_theta": 10_000.0, "init_offset": 0.0}
    assert build(Chosen, {"model": {"architecture": "gpt2", **SHAPE, **recorded}}).model == GPT2Config(
        **SHAPE
    )


def test_heads_that_do_not_divide_the_width_and_unknown_families_are_refused_in_a_sentence():
    with pytest.raises(ConfigError, match=r"d_model \(12\) must be a multiple of num_heads \(5\)\.$"):
        GPT2Config(**{**SHAPE, "num_heads": 5})
    with pytest.raises(
        ConfigError,
        match=r"model\.architecture must be one of qwen3, gpt2, mlp, .*, encoder, diffusion, was 'gpt3'",
    ):
        build(Chosen, {"model": {"architecture": "gpt3"}})


def test_too_long_an_input_is_refused_in_a_sentence():
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        build_model(GPT2Config(**SHAPE), 17)(torch.zeros(1, 13, dtype=torch.int64))


def test_the_family_is_part_of_a_models_identity_and_the_first_one_is_left_out():
    assert "architecture" not in identity(Chosen())["model"]
    of_gpt2 = identity(Chosen(model=GPT2Config(**SHAPE)))["model"]
    assert of_gpt2 == {
        "architecture": "gpt2",
        **SHAPE,
        "d_ff": None,
        "tie_embeddings": True,
        "norm_eps": 1e-6,
        "init_std": 0.02,
        "num_kv_heads": 4,
        "head_dim": None,
        "rope_theta": 10_000.0,
    }
