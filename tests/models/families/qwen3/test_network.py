"""The model against slow, obvious computations of the same formulas."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.models.families.qwen3.network import GPT, rotate
from lmexp.models.network import CausalNetwork

SHAPES = [
    GPTConfig(context_length=12, num_layers=2, num_heads=4, num_kv_heads=2, d_model=24, head_dim=8, d_ff=40),
    GPTConfig(context_length=12, num_layers=1, num_heads=2, num_kv_heads=2, d_model=12, tie_embeddings=False),
]


def awake(config: GPTConfig, vocab_size: int = 17) -> CausalNetwork:
    """Return a double-precision model with no weight at zero or one, so that every part matters."""
    model = build_model(config, vocab_size, seed=3).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.empty_like(parameter).normal_(std=0.3, generator=generator)
            parameter.add_(noise)
    return model


def slow_logits(model: GPT, ids: list[int]) -> list[list[float]]:
    """Compute the logits of one sequence position by position, with scalars and Python lists."""
    config, weights = model.config, {k: v.tolist() for k, v in model.state_dict().items()}
    width, half = config.resolved_head_dim, config.resolved_head_dim // 2

    def matrix(name: str, x: list[float]) -> list[float]:
        return [sum(w * v for w, v in zip(row, x, strict=True)) for row in weights[name + ".weight"]]

    def norm(name: str, x: list[float]) -> list[float]:
        scale = (sum(v * v for v in x) / len(x) + config.norm_eps) ** -0.5
        return [v * scale * w for v, w in zip(x, weights[name + ".weight"], strict=True)]

    def turn(x: list[float], position: int) -> list[float]:
        angles = [position * config.rope_theta ** (-2 * i / width) for i in range(half)]
        pairs = [(x[i], x[i + half], math.cos(a), math.sin(a)) for i, a in enumerate(angles)]
        return [a * c - b * s for a, b, c, s in pairs] + [b * c + a * s for a, b, c, s in pairs]

    def heads(x: list[float]) -> list[list[float]]:
        return [x[i : i + width] for i in range(0, len(x), width)]

    def dot(x: list[float], y: list[float]) -> float:
        return sum(a * b for a, b in zip(x, y, strict=True))

    stream = [list(weights["model.embed_tokens.weight"][i]) for i in ids]
    for layer in range(config.num_layers):
        at = f"model.layers.{layer}."
        normed = [norm(at + "input_layernorm", x) for x in stream]
        q, k = (
            [
                [
                    turn(norm(f"{at}self_attn.{p}_norm", h), t)
                    for h in heads(matrix(f"{at}self_attn.{p}_proj", x))
                ]
                for t, x in enumerate(normed)
            ]
            for p in "qk"
        )
        v = [heads(matrix(at + "self_attn.v_proj", x)) for x in normed]
        for t, x in enumerate(stream):
            mixed: list[float] = []
            for head in range(config.num_heads):
                group = head // (config.num_heads // config.num_kv_heads)
                scores = [math.exp(dot(q[t][head], k[s][group]) / math.sqrt(width)) for s in range(t + 1)]
                total = sum(scores)
                mixed += [sum(w / total * v[s][group][i] for s, w in enumerate(scores)) for i in range(width)]
            stream[t] = [a + b for a, b in zip(x, matrix(at + "self_attn.o_proj", mixed), strict=True)]
        for t, x in enumerate(stream):
            h = norm(at + "post_attention_layernorm", x)
            gate, up = matrix(at + "mlp.gate_proj", h), matrix(at + "mlp.up_proj", h)
            inner = [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up, strict=True)]
            stream[t] = [a + b for a, b in zip(x, matrix(at + "mlp.down_proj", inner), strict=True)]
    head_name = "model.embed_tokens" if config.tie_embeddings else "lm_head"
    return [matrix(head_name, norm("model.norm", x)) for x in stream]


@pytest.mark.parametrize("config", SHAPES, ids=["grouped and tied", "ungrouped and untied"])
def test_logits_equal_a_computation_with_python_lists_in_double_precision(config):
    model = awake(config)
    ids = [3, 1, 4, 1, 5, 9, 2, 6, 5]
    logits = model(torch.tensor([ids]))
    assert logits.dtype == torch.float64
    torch.testing.assert_close(
        logits[0], torch.tensor(slow_logits(model, ids), dtype=torch.float64), rtol=1e-10, atol=1e-10
    )


def test_a_later_token_changes_no_earlier_logit_and_changes_its_own():
    model = awake(SHAPES[0])
    ids = torch.arange(10)[None]
    changed = ids.clone()
    changed[0, 6] = 16
    before, after = model(ids)[0], model(changed)[0]
    assert torch.equal(before[:6], after[:6])
    assert (before[6:] - after[6:]).abs().amax(dim=-1).min() > 1e-6


def test_a_prefix_has_the_logits_that_it_has_inside_a_longer_text():
    model = awake(SHAPES[0])
    ids = torch.arange(12)[None]
    torch.testing.assert_close(model(ids)[:, :5], model(ids[:, :5]), rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(shift=st.integers(0, 40), first=st.integers(0, 40), second=st.integers(0, 40))
def test_rotated_products_depend_on_the_distance_alone(shift, first, second):
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=generator)
    model = GPT(GPTConfig(context_length=128, num_layers=1, num_heads=1, num_kv_heads=1, d_model=8), 2)
    cos, sin = model._rope_tables(torch.device("cpu"), torch.float64)

    def product(m: int, n: int) -> torch.Tensor:
        return (rotate(q, cos[m : m + 1], sin[m : m + 1]) * rotate(k, cos[n : n + 1], sin[n : n + 1])).sum()

    torch.testing.assert_close(product(first, second), product(first + shift, second + shift))


def test_gradients_equal_finite_differences():
    config = GPTConfig(context_length=4, num_layers=1, num_heads=2, num_kv_heads=1, d_model=4, d_ff=3)
    model = awake(config, vocab_size=5)
    ids = torch.tensor([[1, 2, 4, 0]])
    names = [name for name, _ in model.named_parameters()]

    def logits(*weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (ids,))

    assert torch.autograd.gradcheck(logits, tuple(p.detach().requires_grad_() for p in model.parameters()))


def test_a_seed_fixes_the_weights_and_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = GPT(SHAPES[1], 17, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = GPT(SHAPES[1], 17, seed=7).state_dict(), GPT(SHAPES[1], 17, seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_initial_weights_have_the_configured_spread_and_blocks_start_as_the_identity():
    config = GPTConfig(num_layers=2, d_model=256, init_std=0.5, tie_embeddings=False)
    model = GPT(config, 1000)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            assert torch.equal(parameter, torch.ones_like(parameter))
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            assert not parameter.any()
        else:
            expected = 0.5 if "embed" in name else 1 / 16  # 1 / sqrt(256)
            assert float(parameter.detach().std()) == pytest.approx(expected, rel=0.02)
    ids = torch.arange(20)[None]
    embedded = model.model.embed_tokens(ids)
    torch.testing.assert_close(model.hidden_states(ids), model.model.norm(embedded))


def test_a_tied_head_counts_once():
    config = GPTConfig(num_layers=1, num_heads=2, num_kv_heads=1, d_model=8, head_dim=6, d_ff=10)
    block = 8 * 12 + 2 * 8 * 6 + 12 * 8 + 2 * 6 + 3 * 8 * 10 + 2 * 8
    assert GPT(config, 11).num_parameters == 11 * 8 + block + 8
    untied = GPTConfig(**{**vars(config), "tie_embeddings": False})
    assert GPT(untied, 11).num_parameters == 2 * 11 * 8 + block + 8


def test_autocast_multiplies_in_bfloat16_and_stays_near_full_precision():
    model = awake(SHAPES[0]).float()
    ids = torch.arange(12)[None]
    full = model(ids)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(ids)
    assert mixed.dtype == torch.bfloat16
    assert float(((mixed.float() - full).norm() / full.norm()).detach()) < 0.03


def test_too_long_an_input_is_refused_in_a_sentence():
    with pytest.raises(DataError, match=r"at most 12 tokens and was given 13"):
        GPT(SHAPES[0], 17)(torch.zeros(1, 13, dtype=torch.int64))


def test_an_initial_offset_shifts_the_first_eighth_of_each_embedding_and_nothing_else():
    shape = {"num_layers": 1, "num_heads": 2, "num_kv_heads": 1, "d_model": 16, "init_std": 1.0}
    plain, shifted = GPT(GPTConfig(**shape), 11, seed=3), GPT(GPTConfig(**shape, init_offset=5.0), 11, seed=3)
    for (name, a), b in zip(plain.named_parameters(), shifted.parameters(), strict=True):
        difference = (b - a).detach()
        if name == "model.embed_tokens.weight":
            torch.testing.assert_close(difference[:, :2], torch.full((11, 2), 5.0))
            difference = difference[:, 2:]
        assert not difference.any(), name


def test_a_model_that_was_first_used_in_inference_mode_can_be_trained():
    model = GPT(GPTConfig(num_layers=1, num_heads=2, num_kv_heads=1, d_model=16), 11)
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        model(ids)
    model(ids).sum().backward()
    assert model.model.embed_tokens.weight.grad is not None
