"""Operations of a token against torch's own count, and the utilisation of known devices."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lmexp.core.values.config import build
from lmexp.models.build import build_model
from lmexp.models.families.gpt2.config import GPT2Config
from lmexp.models.families.qwen3.config import GPTConfig
from lmexp.models.layers import attention
from lmexp.training.flops import flops_per_token, peak_flops, utilisation

VOCAB, T = 50, 32
SHAPE = {"context_length": T, "num_layers": 3, "num_heads": 4, "d_model": 32}
CONFIGS = [
    build(GPTConfig, {**SHAPE, "num_kv_heads": 2, "tie_embeddings": True}),
    build(GPTConfig, {**SHAPE, "num_kv_heads": 4, "tie_embeddings": False, "head_dim": 16}),
    build(GPT2Config, {**SHAPE, "tie_embeddings": True}),
    build(GPT2Config, {**SHAPE, "tie_embeddings": False}),
]


def counted(model):
    """What torch counts of a forward and backward pass over one row, a token: its matrix products."""
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, T, dtype=torch.long)).sum().backward()
    return counter.get_total_flops() / T


@pytest.mark.parametrize("config", CONFIGS, ids=["gpt tied", "gpt untied", "gpt2 tied", "gpt2 untied"])
def test_the_count_is_that_of_all_matrix_products_but_for_vectors_and_a_first_gradient(config, monkeypatch):
    # torch counts no operation of its own attention kernel on a CPU
    monkeypatch.setattr(attention, "takes_blocks", lambda *_args, **_kwargs: True)
    model = build_model(config, VOCAB, 0)
    vectors = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    # a vector does not multiply as a matrix does, so torch does not count it and 6 N does
    assert flops_per_token(model, T) - 6 * vectors == pytest.approx(counted(model), rel=1e-12)


def test_a_case_computed_by_hand():
    model = build_model(build(GPT2Config, {**SHAPE, "tie_embeddings": True}), VOCAB, 0)
    block = 4 * 32 * 32 + 2 * 32 * 128 + (3 + 1 + 4 + 1) * 32 + 4 * 32  # matrices, biases, two norms
    weights = 3 * block + 2 * 32 + VOCAB * 32
    assert flops_per_token(model, T) == 6 * weights + 12 * 3 * 32 * T


@pytest.mark.parametrize(
    ("name", "bf16"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989.5e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989.5e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA GeForce GTX 1080", None),
        ("", None),
    ],
)
def test_a_gpu_is_known_by_its_name(name, bf16):
    assert peak_flops(name, "bf16-mixed") == bf16
    assert peak_flops(name, "64-true") is None


def test_utilisation_is_a_share_of_all_devices_and_none_where_the_peak_is_unknown():
    rate = {"tokens_per_second": 1e6, "flops_per_token": 1e9}
    assert utilisation(**rate, peak=1e15, world_size=4) == pytest.approx(0.25)
    assert utilisation(**rate, peak=None, world_size=4) is None
