"""Newton-Schulz against the singular value decomposition, its dtypes, and what a training keeps of them."""

import pytest
import torch

from lmexp.training.optimization import agreement, optimizers
from lmexp.training.optimization.newton_schulz import fast_dtype, instructions_of_cpu, orthogonalize
from tests.training.pretrain_runs import tiny, train


@pytest.mark.parametrize("shape", [(3, 12, 30), (2, 30, 12), (1, 16, 16)])
def test_it_keeps_singular_vectors_and_brings_values_near_one(shape):
    matrices = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ orthogonalize(matrices, "bfloat16") @ vh.mT
    values = torch.diagonal(inside, dim1=-2, dim2=-1)
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.3
    torch.testing.assert_close(inside, torch.diag_embed(values), rtol=0, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("shape", [(8, 16), (24, 8), (8, 15), (9, 9)])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_each_singular_value_takes_the_steps_of_the_polynomial_down_to_a_millionth(shape, steps, dtype, rtol):
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    u, _, vh = torch.linalg.svd(random, full_matrices=False)
    values = torch.logspace(0, -6, min(shape), dtype=torch.float64)
    found = orthogonalize((u * values @ vh).to(dtype), "float32", steps)
    values = values / (values.norm() + 1e-7)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    expected = u * values @ vh
    assert float((found.double() - expected).norm() / expected.norm()) < rtol


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_a_dtype_costs_its_own_rounding(dtype, most):
    matrices = torch.randn(2, 24, 40, generator=torch.Generator().manual_seed(0))
    exact = orthogonalize(matrices.double(), dtype)
    found = orthogonalize(matrices, dtype)
    assert found.dtype == torch.float32
    error = float((found - exact).norm() / exact.norm())
    assert error < most
    assert error > most / 1e4, "it multiplies in that dtype"


@pytest.mark.parametrize(
    ("device", "instructions", "expected"),
    [
        ("cuda", {}, "bfloat16"),
        ("cpu", {"avx2"}, "float32"),
        ("cpu", {"avx512_bf16", "avx512_f"}, "float32"),
        ("cpu", {"avx512_bf16", "amx_bf16"}, "bfloat16"),
        ("mps", {"amx_bf16"}, "float32"),
    ],
)
def test_bfloat16_is_for_gpus_and_tiles(device, instructions, expected):
    assert fast_dtype(device, instructions) == expected


def test_the_cpus_instructions_are_those_that_torch_reports(monkeypatch):
    told = {"avx2": True, "amx_bf16": False, "num_sockets": 1, "architecture": "x86_64"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    assert instructions_of_cpu() == {"avx2"}


def machine(monkeypatch, *instructions):
    for module in (optimizers, agreement):
        monkeypatch.setattr(module, "instructions_of_cpu", lambda: frozenset(instructions))


def notes(folder, **changes):
    told, losses = {}, []
    config = tiny(**{"optimizer.name": "muon", "trainer.precision": "32-true", **changes})
    stop = {"should_stop": lambda: losses[-1]["step"] >= 5} if changes.get("publish") is None else {}
    result = train(config, folder, log=losses.append, note=told.__setitem__, **stop)
    return result, told.get("newton_schulz")


def test_a_training_notes_the_dtype_and_keeps_to_it_on_another_machine(tmp_path, monkeypatch):
    machine(monkeypatch, "amx_bf16")
    whole, told = notes(tmp_path / "whole", publish="last")
    assert told == "bfloat16, since that is fast here"
    notes(tmp_path / "parts")
    machine(monkeypatch)
    resumed, told = notes(tmp_path / "parts", publish="last")
    assert told == "bfloat16, since training began with it"
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
    elsewhere, told = notes(tmp_path / "elsewhere", publish="last")
    assert told == "float32, since that is fast here"
    assert any(
        not torch.equal(weight, elsewhere.model.state_dict()[name])
        for name, weight in whole.model.state_dict().items()
    )


def test_a_training_without_muon_notes_no_dtype(tmp_path):
    _, told = notes(tmp_path, **{"optimizer.name": "adamw", "publish": "last"})
    assert told is None
