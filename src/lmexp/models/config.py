"""The shape of a decoder-only Transformer."""

import dataclasses

from lmexp.core.config import Config, option
from lmexp.errors import ConfigError

_NOT_IN_GPT2 = ("num_kv_heads", "head_dim", "rope_theta", "init_offset")


class GPTConfig(Config):
    """A decoder-only Transformer of one of two families.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    architecture: str = option("qwen3", choices=("qwen3", "gpt2"), absent_means="qwen3")
    """`qwen3` has RoPE, RMSNorm, QK-norm, SwiGLU and grouped-query attention, and no biases; `gpt2`
    (Radford et al. 2019) has learned positions, LayerNorm, GELU and biases. It keeps `num_kv_heads`,
    `head_dim`, `rope_theta` and `init_offset` at their defaults, which mean nothing there."""

    context_length: int = option(256, ge=2, le=1_048_576)
    """Longest sequence that the model sees, in tokens."""

    num_layers: int = option(4, ge=1, le=1024)
    """Number of Transformer blocks."""

    num_heads: int = option(4, ge=1, le=1024)
    """Number of query heads."""

    num_kv_heads: int = option(4, ge=1, le=1024)
    """Number of key and value heads; divides `num_heads`."""

    d_model: int = option(256, ge=2, le=1_048_576)
    """Width of the residual stream."""

    head_dim: int | None = option(None, ge=2, le=65_536)
    """Width of one head, even; null means d_model / num_heads."""

    d_ff: int | None = option(None, ge=1, le=8_388_608)
    """Inner width of SwiGLU or of GPT-2's MLP; null means 8/3 of d_model, rounded up to a multiple of
    32, and in GPT-2 four times d_model."""

    tie_embeddings: bool = option(True)
    """Whether the output head shares the embedding matrix."""

    rope_theta: float = option(10_000.0, gt=0)
    """Base of the rotary frequencies (Su et al., arXiv 2104.09864)."""

    norm_eps: float = option(1e-6, gt=0, lt=1)
    """Added to the mean square in RMSNorm, and to the variance in LayerNorm."""

    init_std: float = option(0.02, gt=0, le=10)
    """Standard deviation of the initial embedding; see `lmexp.models.gpt` and `lmexp.models.gpt2` for
    the other weights."""

    init_offset: float = option(0.0, ge=0, le=100, absent_means=0.0)
    """Added at the start to the first eighth of every token's embedding: a direction that all tokens
    share, from which queries and keys without biases can learn to attend by position alone."""

    @property
    def resolved_head_dim(self) -> int:
        """Width of one head."""
        return self.head_dim if self.head_dim is not None else self.d_model // self.num_heads

    @property
    def resolved_d_ff(self) -> int:
        """Inner width of the MLP."""
        if self.d_ff is not None:
            return self.d_ff
        return 4 * self.d_model if self.architecture == "gpt2" else -(-(8 * self.d_model) // (3 * 32)) * 32

    def check(self) -> None:
        if self.architecture == "gpt2":
            self._check_gpt2()
            return
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"num_heads ({self.num_heads}) must be a multiple of num_kv_heads ({self.num_kv_heads})."
            )
        if self.head_dim is None and self.d_model % self.num_heads:
            raise ConfigError(
                f"d_model ({self.d_model}) must be a multiple of num_heads ({self.num_heads}); "
                f"or give head_dim."
            )
        if self.resolved_head_dim % 2:
            raise ConfigError(f"head_dim must be even for RoPE, was {self.resolved_head_dim}.")

    def _check_gpt2(self) -> None:
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in _NOT_IN_GPT2:
            if getattr(self, name) != defaults[name]:
                raise ConfigError(
                    f"{name} does not apply to architecture gpt2; leave it out, or where the experiment sets "
                    f"it, take it away with '~model.{name}'."
                )
        if self.d_model % self.num_heads:
            raise ConfigError(f"d_model ({self.d_model}) must be a multiple of num_heads ({self.num_heads}).")
