"""A decoder-only Transformer whose parameters carry the names of Hugging Face's Qwen3.

The block is pre-norm: RMSNorm (Zhang and Sennrich, arXiv 1910.07467), grouped-query attention
(Ainslie et al., arXiv 2305.13245) with RMSNorm on each head's queries and keys (Dehghani et al.,
arXiv 2302.05442) before rotary positions (Su et al., arXiv 2104.09864; the two halves of a head
are rotated against each other), then SwiGLU (Shazeer, arXiv 2002.05202). There are no biases and
no dropout. It computes what ``Qwen3ForCausalLM`` computes, so a checkpoint needs no renaming.

The embedding starts as N(0, init_std^2), plus `init_offset` in its first eighth; matrices as
N(0, 1 / fan-in); norms at one; and the two matrices that write into the residual stream (`o_proj`,
`down_proj`) at zero, so that each block starts as the identity (Zhang et al., arXiv 1901.09321). All
are drawn from a generator of the model's own: the global random state is neither read nor moved.

Shapes: B batch, T time, D d_model, H query heads, G key/value heads, K head_dim, F d_ff, V vocabulary.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmexp.models.cache import LayerCache
from lmexp.models.families.qwen3.config import GPTConfig
from lmexp.models.layers.attention import attention
from lmexp.models.layers.linear import Linear
from lmexp.models.layers.norm import RMSNorm
from lmexp.models.layers.visibility import Visibility
from lmexp.models.network import BranchingNetwork, Network


class Attention(nn.Module):
    """Causal grouped-query attention with QK-norm before RoPE."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.head_dim = config.resolved_head_dim
        q_width, kv_width = config.num_heads * self.head_dim, config.num_kv_heads * self.head_dim
        self.q_proj = Linear(config.d_model, q_width)
        self.k_proj = Linear(config.d_model, kv_width)
        self.v_proj = Linear(config.d_model, kv_width)
        self.o_proj = Linear(q_width, config.d_model)
        self.q_norm = RMSNorm(self.head_dim, config.norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.norm_eps)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, cache: LayerCache | None
    ) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``; angles are ``[T, 1, K]`` or ``[B, T, 1, K]``.

        `mask` is that of `BranchingNetwork.hidden_states`.
        """
        heads = (*x.shape[:2], -1, self.head_dim)
        q = rotate(self.q_norm(self.q_proj(x).view(heads)), cos, sin)  # [B, T, H, K]
        k = rotate(self.k_norm(self.k_proj(x).view(heads)), cos, sin)  # [B, T, G, K]
        v = self.v_proj(x).view(heads)
        if cache is not None:
            k, v = cache.append(k, v)
        return self.o_proj(attention(q, k, v, mask).flatten(2))  # type: ignore[no-any-return]


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.d_model, config.resolved_d_ff)
        self.up_proj = Linear(config.d_model, config.resolved_d_ff)
        self.down_proj = Linear(config.resolved_d_ff, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x [B, T, D]`` to ``[B, T, D]``."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(norm(x)), then x + SwiGLU(norm(x))."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = SwiGLU(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, cache: LayerCache | None
    ) -> Tensor:
        """Map the residual stream ``x [B, T, D]`` to the next block's."""
        # One cast each for the matrices that share an input; without autocast it is no operation.
        h = self.input_layernorm(x).to(cos.dtype)
        x = x + self.self_attn(h, cos, sin, mask, cache)
        h = self.post_attention_layernorm(x).to(cos.dtype)
        return x + self.mlp(h)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, blocks and the last norm: everything but the head."""

    def __init__(self, config: GPTConfig, vocab_size: int) -> None:
        super().__init__()
        empty = torch.empty(vocab_size, config.d_model)
        self.embed_tokens = nn.Embedding(vocab_size, config.d_model, _weight=empty)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)


class Transformer(Network):
    """Token ids in, logits out, whatever a token may see; of a network that says so."""

    config: GPTConfig
    embeddings: ClassVar[frozenset[str]] = frozenset({"model.embed_tokens.weight"})
    head = "lm_head.weight"

    def __init__(self, config: GPTConfig, vocab_size: int, *, seed: int = 0) -> None:
        """Build the model with weights drawn from `seed` (in fp32, whatever the later precision)."""
        super().__init__(config, vocab_size)
        self.model = Decoder(config, vocab_size)
        self.lm_head = None if config.tie_embeddings else Linear(config.d_model, vocab_size)
        self._rope: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks."""
        return self.model.layers  # type: ignore[return-value]

    def _read(self, input_ids: Tensor, seen: Visibility, caches: Sequence[LayerCache | None]) -> Tensor:
        x = self.model.embed_tokens(input_ids)
        tables = self._rope_tables(x.device, _compute_dtype(x))
        cos, sin = (table[seen.times] for table in tables)
        for layer, cache in zip(self.model.layers, caches, strict=True):
            x = layer(x, cos, sin, seen.mask, cache)
        return self.model.norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight)

    def _rope_tables(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the cosines and the signed sines ``[context_length, 1, K]`` that `rotate` takes.

        They are computed in fp64, then cast, and kept outside the module's buffers: a buffer would
        follow `.double()` after having been rounded to fp32.
        """
        if (device, dtype) not in self._rope:
            with torch.inference_mode(False):  # training may follow an evaluation
                width = self.config.resolved_head_dim
                exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
                positions = torch.arange(self.config.context_length, dtype=torch.float64)
                angles = torch.outer(positions, self.config.rope_theta**-exponents)[:, None, :]
                cos, sin = angles.cos(), angles.sin()
                tables = torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)
                self._rope[device, dtype] = (tables[0].to(device, dtype), tables[1].to(device, dtype))
        return self._rope[device, dtype]

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue  # norms start at one
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
                continue
            is_embedding = parameter is self.model.embed_tokens.weight
            std = self.config.init_std if is_embedding else parameter.shape[1] ** -0.5
            parameter.normal_(std=std, generator=generator)
        self.model.embed_tokens.weight[:, : self.config.d_model // 8] += self.config.init_offset


class GPT(Transformer, BranchingNetwork):
    """The network of which a token sees what stands before it."""

    config: GPTConfig


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves (a, b) of each head ``x [B, T, heads, K]`` to (a cos - b sin, b cos + a sin).

    The tables, ``[T, 1, K]`` or ``[B, T, 1, K]``, repeat for both halves; the sines of the first
    carry the minus.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def _compute_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype that matrices multiply in: autocast's, or that of `x`."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


NETWORK = GPT
