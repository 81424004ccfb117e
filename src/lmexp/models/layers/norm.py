"""RMSNorm: x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich, arXiv 1910.07467).

On a CPU torch runs it as five operations with five gradients; writing the gradient down takes
about 0.6 of that time. With u = x / sqrt(mean(x^2) + eps) and h = weight * dL/dy, both over the
last dimension: dL/dx = (h - u mean(u h)) / sqrt(mean(x^2) + eps), and dL/dweight = sum(u dL/dy).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """The norm over the last dimension, with a learned weight that starts at one."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x [..., width]``; keeps shape and dtype."""
        weight = self.weight.to(x.dtype)
        if x.device.type == "cpu":
            return _OnCPU.apply(x, weight, self.eps)  # type: ignore[no-any-return, no-untyped-call]
        return functional.rms_norm(x, weight.shape, weight, self.eps)


class _OnCPU(torch.autograd.Function):
    """The formulas of the module's docstring; it has no second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """Return the normalised ``x``."""
        norm = torch.linalg.vector_norm(
            x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)
        )
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_().to(x.dtype)
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        y: Tensor = unit * weight
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of `x` and `weight`."""
        unit, scale, weight = ctx.saved_tensors
        d_weight = (dy * unit).flatten(0, -2).sum(dim=0)
        h = dy * weight
        dx = torch.addcmul(h, unit, (h * unit).mean(dim=-1, keepdim=True), value=-1).mul_(scale)
        return dx, d_weight, None
