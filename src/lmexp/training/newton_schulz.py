"""Newton-Schulz iteration, in the dtype that the device multiplies fast.

The iteration replaces a matrix by one with the same singular vectors and singular values near one, with
matrix products alone (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon). It tolerates the
rounding of bf16, so the dtype is a matter of speed: results differ by rounding.

The dtype follows from the kind of device and its instructions, never from a timing. The optimizer keeps it
with its state, so that a resumed training goes on with the one that it began with, on any machine.

On one core of an Intel Xeon with avx512_bf16 and without AMX, bf16 took 1.1 to 2.2 times the CPU seconds of
fp32 in eleven shapes from 4 x 64 x 64 to 2 x 768 x 3072, and 3.2 to 4.0 times in three of them without
avx512_bf16. So a CPU multiplies in fp32 unless it has AMX, which was not measured.
"""

from collections.abc import Collection

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of x -> a x + b x^3 + c x^5, which drives singular values towards one."""

BEFORE_IT_WAS_CHOSEN = "bfloat16"
"""The dtype of a training whose checkpoint knows of no choice."""


def fast_dtype(device: str, instructions: Collection[str]) -> str:
    """Return `float32` or `bfloat16` for a kind of device and the names of its instruction sets."""
    return "bfloat16" if device == "cuda" or (device == "cpu" and "amx_bf16" in instructions) else "float32"


def instructions_of_cpu() -> frozenset[str]:
    """Return the names of the instruction sets of this machine's CPU, as torch spells them."""
    return frozenset(name for name, value in torch.cpu.get_capabilities().items() if value is True)


def orthogonalize(matrices: Tensor, dtype: str, steps: int = 5) -> Tensor:
    """Return matrices ``[n, rows, columns]`` with the same singular vectors and values near one.

    It multiplies in `dtype`, except that fp64 stays fp64: there, results are compared between placements.
    """
    x = matrices if matrices.dtype == torch.float64 else matrices.to(getattr(torch, dtype))
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    norms = torch.linalg.matrix_norm(x.to(matrices.dtype), keepdim=True)
    x = x / (norms.to(x.dtype) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        square = x @ x.mT
        square = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, square, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
