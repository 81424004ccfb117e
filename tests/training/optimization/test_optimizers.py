"""The optimizer against torch's own AdamW and Muon, and its groups against the list in the text."""

import copy
import dataclasses

import pytest
import torch

from lmexp.models.families import GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.training.optimization.config import OptimizerConfig
from lmexp.training.optimization.optimizers import build_optimizer

SHAPE = GPTConfig(
    num_layers=2, num_heads=2, num_kv_heads=1, d_model=16, head_dim=8, d_ff=24, tie_embeddings=False
)


def with_gradients(model, steps, seed=0):
    """Yield after giving every parameter of `model` a fresh known gradient, `steps` times."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in model.parameters():
            shape, dtype = parameter.shape, parameter.dtype
            parameter.grad = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        yield


def hidden(model):
    return [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]


def others(model):
    return [p for name, p in model.named_parameters() if p.ndim == 1 or ".layers." not in name]


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("tied", [True, False])
def test_each_parameter_is_in_one_group_with_the_decay_and_the_rate_that_the_text_gives_it(name, tied):
    model = GPT(GPTConfig(num_layers=2, tie_embeddings=tied), 50)
    config = OptimizerConfig(name=name, lr=0.01, embedding_lr=0.3, muon_lr=0.02, weight_decay=0.25)
    optimizer = build_optimizer(config, model)
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
    for parameter_name, parameter in model.named_parameters():
        group = found.pop(id(parameter))
        is_embedding, is_vector = "embed_tokens" in parameter_name, parameter.ndim == 1
        is_hidden = not (is_embedding or is_vector or "lm_head" in parameter_name)
        assert group["weight_decay"] == (0.0 if is_embedding or is_vector else 0.25)
        assert group["kind"] == ("muon" if is_hidden and name == "muon" else "adamw")
        peak = 0.3 if is_embedding else 0.02 if is_hidden and name == "muon" else 0.01
        assert group["peak_lr"] == group["lr"] == peak
    assert not found


@pytest.mark.parametrize("tied", [True, False])
def test_gradient_descent_moves_each_weight_by_its_rate_and_decays_matrices_alone(tied):
    model = GPT(dataclasses.replace(SHAPE, tie_embeddings=tied), 11).double()
    config = OptimizerConfig(name="sgd", lr=0.5, embedding_lr=2.0, weight_decay=0.1)
    optimizer = build_optimizer(config, model)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in with_gradients(model, 3):
        for name, parameter in model.named_parameters():
            is_embedding = "embed_tokens" in name
            lr, decay = (2.0 if is_embedding else 0.5), (0.0 if is_embedding or parameter.ndim == 1 else 0.1)
            expected[name] = (1 - lr * decay) * expected[name] - lr * parameter.grad
        optimizer.step()
    torch.testing.assert_close(dict(model.named_parameters()), expected, rtol=1e-12, atol=1e-14)
    assert not any(optimizer.state.values()), "its only state is the weights"


def test_adamw_takes_the_steps_of_torchs_own():
    model = GPT(SHAPE, 11).double()
    theirs = copy.deepcopy(model)
    ours = build_optimizer(OptimizerConfig(lr=0.01, weight_decay=0.3), model)
    reference = torch.optim.AdamW(
        [
            {"params": [*hidden(theirs), theirs.lm_head.weight], "weight_decay": 0.3},
            {"params": [p for p in others(theirs) if p is not theirs.lm_head.weight], "weight_decay": 0.0},
        ],
        lr=0.01,
        betas=(0.9, 0.95),
        foreach=False,
        fused=False,
    )
    for _ in zip(with_gradients(model, 5), with_gradients(theirs, 5), strict=True):
        ours.step()
        reference.step()
    torch.testing.assert_close(dict(model.state_dict()), dict(theirs.state_dict()), rtol=1e-12, atol=1e-14)


def test_muon_takes_the_steps_of_torchs_own_on_hidden_matrices():
    model = GPT(SHAPE, 11)
    theirs = copy.deepcopy(model)
    config = OptimizerConfig(name="muon", muon_lr=0.03, weight_decay=0.2, muon_momentum=0.9, muon_ns_steps=4)
    ours = build_optimizer(config, model)
    reference = torch.optim.Muon(
        hidden(theirs),
        lr=0.03,
        weight_decay=0.2,
        momentum=0.9,
        nesterov=True,
        ns_steps=4,
        adjust_lr_fn="original",
    )
    for _ in zip(with_gradients(model, 4), with_gradients(theirs, 4), strict=True):
        ours.step()
        reference.step()
    for mine, other in zip(hidden(model), hidden(theirs), strict=True):
        # Both multiply in bf16 and round differently; a step is 0.03 x an orthogonal matrix.
        assert float((mine - other).detach().norm() / (4 * 0.03 * min(mine.shape) ** 0.5)) < 0.01


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_saved_state_loads_without_pickle_and_goes_on_bit_for_bit(tmp_path, name):
    model = GPT(SHAPE, 11)
    optimizer = build_optimizer(OptimizerConfig(name=name), model)
    for _ in with_gradients(model, 3):
        optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state")
    loaded = torch.load(tmp_path / "state", weights_only=True)
    resumed = GPT(SHAPE, 11, seed=99)
    resumed.load_state_dict(loaded["model"])
    again = build_optimizer(OptimizerConfig(name=name), resumed)
    again.load_state_dict(loaded["optimizer"])
    for _ in zip(with_gradients(model, 3, seed=1), with_gradients(resumed, 3, seed=1), strict=True):
        optimizer.step()
        again.step()
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[key]), key


def test_muon_goes_on_in_the_dtype_that_it_began_with_and_old_state_in_bfloat16():
    config = OptimizerConfig(name="muon")
    for kept, dtype in ((True, "float32"), (True, "bfloat16"), (False, "bfloat16")):
        optimizer, other = (build_optimizer(config, GPT(SHAPE, 11)) for _ in range(2))
        for muon in (g for g in optimizer.param_groups if g["kind"] == "muon"):
            muon["ns_dtype"] = dtype
            if not kept:
                del muon["ns_dtype"]
        other.load_state_dict(optimizer.state_dict())
        assert [g["ns_dtype"] for g in other.param_groups if g["kind"] == "muon"] == [dtype]
