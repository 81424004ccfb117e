"""GPT-2 (Radford et al. 2019), whose parameters carry the names of Hugging Face's GPT2.

The block is pre-norm with biases everywhere: LayerNorm, attention with as many key as query heads,
LayerNorm, then two matrices with GELU in its tanh form between them. Positions are learned, and added
to the embedding of the tokens. There is no dropout. It computes what ``GPT2LMHeadModel`` computes,
which stores its matrices as ``[in, out]``: `lmexp.models.folder` turns them.

Every matrix and both embeddings start as N(0, init_std^2), the two matrices that write into the
residual stream (both named `c_proj`) with init_std / sqrt(2 num_layers); biases start at zero and
norms at one. All are drawn from a generator of the model's own.

Shapes: B batch, T time, D d_model, H heads, K head_dim, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmexp.models.cache import LayerCache
from lmexp.models.families.gpt2.config import GPT2Config
from lmexp.models.layers.attention import attention
from lmexp.models.layers.linear import Linear
from lmexp.models.layers.visibility import Visibility
from lmexp.models.network import BranchingNetwork


class Attention(nn.Module):
    """Causal attention; one matrix makes queries, keys and values."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.c_attn = Linear(config.d_model, 3 * config.d_model, bias=True)
        self.c_proj = Linear(config.d_model, config.d_model, bias=True)

    def forward(self, x: Tensor, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``; `mask` as in `BranchingNetwork.hidden_states`."""
        q, k, v = self.c_attn(x).view(*x.shape[:2], 3, self.num_heads, -1).unbind(dim=2)  # [B, T, H, K]
        if cache is not None:
            k, v = cache.append(k, v)
        return self.c_proj(attention(q, k, v, mask).flatten(2))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """c_proj(gelu(c_fc(x)))."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = Linear(config.d_model, config.resolved_d_ff, bias=True)
        self.c_proj = Linear(config.resolved_d_ff, config.d_model, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``."""
        return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, config.norm_eps)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        """Map the residual stream ``x [B, T, D]`` to the next block's."""
        x = x + self.attn(self.ln_1(x), mask, cache)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Both embeddings, blocks and the last norm: everything but the head."""

    def __init__(self, config: GPT2Config, vocab_size: int) -> None:
        super().__init__()
        width = config.d_model
        self.wte = nn.Embedding(vocab_size, width, _weight=torch.empty(vocab_size, width))
        self.wpe = nn.Embedding(
            config.context_length, width, _weight=torch.empty(config.context_length, width)
        )
        self.h = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.ln_f = nn.LayerNorm(width, config.norm_eps)


class GPT2(BranchingNetwork):
    """The network: token ids in, logits out."""

    config: GPT2Config
    embeddings: ClassVar[frozenset[str]] = frozenset({"transformer.wte.weight", "transformer.wpe.weight"})
    head = "lm_head.weight"

    def __init__(self, config: GPT2Config, vocab_size: int, *, seed: int = 0) -> None:
        """Build the model with weights drawn from `seed` (in fp32, whatever the later precision)."""
        super().__init__(config, vocab_size)
        self.transformer = Transformer(config, vocab_size)
        self.lm_head = None if config.tie_embeddings else Linear(config.d_model, vocab_size)
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks."""
        return self.transformer.h  # type: ignore[return-value]

    def _read(self, input_ids: Tensor, seen: Visibility, caches: Sequence[LayerCache | None]) -> Tensor:
        wpe = self.transformer.wpe
        x = self.transformer.wte(input_ids)
        x = x + (wpe.weight[seen.times] if isinstance(seen.times, slice) else wpe(seen.times))
        for block, cache in zip(self.transformer.h, caches, strict=True):
            x = block(x, seen.mask, cache)
        return self.transformer.ln_f(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""
        head = self.transformer.wte if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight)

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scale = 1 / math.sqrt(2 * self.config.num_layers) if name.endswith("c_proj.weight") else 1.0
                parameter.normal_(std=self.config.init_std * scale, generator=generator)
            elif name.endswith(".bias"):
                parameter.zero_()


NETWORK = GPT2
