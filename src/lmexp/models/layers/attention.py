"""Causal attention of grouped queries: torch's fused kernel, or blocks of matrix products.

The kernel is faster everywhere but where a CPU trains in bf16: its gradient there reaches a fraction of the
speed of matrix products. On one core of an Intel Xeon with avx512_bf16, in CPU seconds of the kernel over
those of blocks, ten shapes from T = 32 to 1,024 (medians of eleven):

    fp32   forward and backward 0.57 to 0.99   forward 0.44 to 0.88   one query of a cache 0.52 to 1.08
    bf16   forward and backward 0.99 to 3.99   forward 0.64 to 1.12   one query of a cache 0.13 to 0.48

The choice is a pure function of device, dtype and whether there will be a gradient (`takes_blocks`), so
that a resumed training takes the path that it began with. Both paths agree to rounding.

In blocks, the queries are cut into blocks of time; a block multiplies with the keys up to its end and masks
its own corner. The query heads of a group are stacked as rows of one product, and keys are never repeated.

With a cache of keys there are more keys than queries; the queries are then the last times.

A mask, such as that of `visibility.document_mask`, goes to torch's own kernel always.

Shapes: B batch, T time (of queries), S >= T time of keys (T in blocks), H query heads, G key/value heads,
R = H / G heads a group, K head_dim, N = B G products, n rows of a block.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 128
"""Queries of one block: smaller ones compute less that is masked, larger ones multiply faster."""


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(q k^T / sqrt(K)) v ``[B, T, H, K]``: causal, or where ``mask [B, T, S]`` is True.

    ``q [B, T, H, K]``; ``k``, ``v`` ``[B, S, G, K]``, each serving H / G neighbouring query heads. A
    query must see a key at least.
    """
    if mask is None:
        return causal_attention(q, k, v)
    return _kernel(q, k, v, mask[:, None], is_causal=False)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(K)) v ``[B, T, H, K]``, where a time sees times up to its own.

    ``q [B, T, H, K]``; ``k``, ``v`` ``[B, S, G, K]``, each serving H / G neighbouring query heads.
    Query t stands at time S - T + t.
    """
    trains = torch.is_grad_enabled() and q.requires_grad
    blocks = takes_blocks(q.device.type, q.dtype, trains=trains) and q.shape[1] == k.shape[1]
    return _in_blocks(q, k, v) if blocks else _fused(q, k, v)


def takes_blocks(device: str, dtype: torch.dtype, *, trains: bool) -> bool:
    """Return whether queries and keys of the same times are multiplied in blocks, as measured above."""
    return device == "cpu" and dtype == torch.bfloat16 and trains


def _fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows, end = q.shape[1], k.shape[1]
    square = rows == end
    # torch's is_causal aligns the first query with the first key, not the last with the last.
    seen = None
    if not square and rows > 1:
        seen = torch.ones(rows, end, dtype=torch.bool, device=q.device).tril(diagonal=end - rows)
    return _kernel(q, k, v, seen, is_causal=square)


def _kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
    """Call torch's kernel, whose heads stand before times."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    grouped = q.shape[1] != k.shape[1]
    y = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, enable_gqa=grouped)
    return y.transpose(1, 2)


def _in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, length, heads, width = q.shape
    groups = k.shape[2]
    ratio, products = heads // groups, batch * groups
    q = (q * width**-0.5).view(batch, length, groups, ratio, width).permute(0, 2, 3, 1, 4)  # [B, G, R, T, K]
    k = k.transpose(1, 2).reshape(products, length, width)  # [N, T, K]
    v = v.transpose(1, 2).reshape(products, length, width)
    blocks = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        rows = end - start
        block = q[:, :, :, start:end].reshape(products, ratio * rows, width)
        scores = torch.bmm(block, k[:, :end].mT).view(products, ratio, rows, end)  # [N, R, n, end]
        weights = (scores + _corner(start, end, q.dtype)).softmax(dim=-1)
        mixed = torch.bmm(weights.view(products, ratio * rows, end), v[:, :end])
        blocks.append(mixed.view(batch, groups, ratio, rows, width))
    y = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=3)
    return y.permute(0, 3, 1, 2, 4).reshape(batch, length, heads, width)


@lru_cache(maxsize=64)
def _corner(start: int, end: int, dtype: torch.dtype) -> Tensor:
    """Return what is added to scores ``[end - start, end]``: 0 up to the query's time, -inf after it."""
    return torch.full((end - start, end), float("-inf"), dtype=dtype).triu(diagonal=start + 1)
