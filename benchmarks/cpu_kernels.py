"""Attention in blocks and our RMSNorm on a CPU against torch's, forward and backward, as ratios of CPU time.

Each pair runs by turns in one process, so that a noisy machine disturbs both alike; the median of the
ratios is printed. Below 1 ours is faster.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from lmexp.models.layers.attention import _fused, _in_blocks
from lmexp.models.layers.norm import RMSNorm

ROUNDS = 15


def cpu_seconds(run: Callable[[], torch.Tensor], inputs: list[torch.Tensor]) -> float:
    """Return the CPU seconds of one forward and backward pass."""
    for x in inputs:
        x.grad = None
    begin = time.process_time()
    run().sum().backward()
    return time.process_time() - begin


def ratio(
    ours: Callable[[], torch.Tensor], theirs: Callable[[], torch.Tensor], inputs: list[torch.Tensor]
) -> str:
    """Return the median ratio with its range."""
    cpu_seconds(ours, inputs), cpu_seconds(theirs, inputs)
    found = [cpu_seconds(ours, inputs) / cpu_seconds(theirs, inputs) for _ in range(ROUNDS)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def main() -> None:
    """Print one line for each kernel and precision."""
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.bfloat16):
        print("attention", dtype, attention(dtype))
        print("rms_norm ", dtype, rms_norm(dtype))


def attention(dtype: torch.dtype) -> str:
    """Compare blocks with torch's kernel: 2,048 tokens, 4 heads in 2 groups, width 64 and T = 256."""
    q = torch.randn(8, 256, 4, 64, dtype=dtype, requires_grad=True)
    k, v = (torch.randn(8, 256, 2, 64, dtype=dtype, requires_grad=True) for _ in range(2))

    return ratio(lambda: _in_blocks(q, k, v), lambda: _fused(q, k, v), [q, k, v])


def rms_norm(dtype: torch.dtype) -> str:
    """Compare the norm of 2,048 tokens of width 256."""
    x = torch.randn(2048, 256, dtype=dtype, requires_grad=True)
    norm = RMSNorm(256, 1e-6).to(dtype)
    return ratio(lambda: norm(x), lambda: functional.rms_norm(x, (256,), norm.weight, 1e-6), [x])


if __name__ == "__main__":
    main()
