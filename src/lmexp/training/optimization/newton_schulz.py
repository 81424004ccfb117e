"""Newton-Schulz iteration, in the dtype that the device multiplies fast.

The iteration replaces a matrix by one with the same singular vectors and singular values near one, with
matrix products alone (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon). It tolerates the
rounding of bf16, so the dtype is a matter of speed: results differ by rounding.

The dtype follows from the kind of device and its instructions, never from a timing. The optimizer keeps it
with its state, so that a resumed training goes on with the one that it began with, on any machine.

On one core of an Intel Xeon with avx512_bf16 and without AMX, bf16 took 1.1 to 2.2 times the CPU seconds of
fp32 in eleven shapes from 4 x 64 x 64 to 2 x 768 x 3072, and 3.2 to 4.0 times in three of them without
avx512_bf16. So a CPU multiplies in fp32 unless it has AMX, which was not measured.

A step multiplies X on its left by P = a + b G + c G^2, where G = X X^T, and the next G is P G P. Where X has
at least twice as many columns as rows, small products of G and P replace large ones of X, which is multiplied
once for a few steps: 0.77 of the time at 12 x 192 x 512, 0.69 at 12 x 256 x 1024, but 1.18 at 8 x 192 x 192.
G squares the singular values; made anew from X before the fourth step, it loses nothing in fp32: 7e-6 from
fp64 at singular values over six decades, as the plain iteration. It was not tried
in bf16, where X is multiplied.
"""

from collections.abc import Collection

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of x -> a x + b x^3 + c x^5, which drives singular values towards one."""

STEPS_OF_ONE_GRAM = 3
"""Steps after which X X^T is made anew."""

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
    if x.dtype != torch.bfloat16 and x.shape[-1] >= 2 * x.shape[-2]:
        for first in range(0, steps, STEPS_OF_ONE_GRAM):
            x = _by_gram(x, min(STEPS_OF_ONE_GRAM, steps - first))
    else:
        for _ in range(steps):
            square = x @ x.mT
            square = torch.baddbmm(square, square, square, beta=b, alpha=c)
            x = torch.baddbmm(x, square, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def _by_gram(x: Tensor, steps: int) -> Tensor:
    """Return wide matrices ``[n, rows, columns]`` after some steps, by products of ``[rows, rows]``."""
    a, b, c = COEFFICIENTS
    gram = x @ x.mT
    whole = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        whole = factor if whole is None else factor @ whole
        if step + 1 < steps:
            gram = factor @ gram @ factor
    assert whole is not None, "at least one step"
    return whole @ x
