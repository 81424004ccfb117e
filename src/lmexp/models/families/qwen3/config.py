"""The shape of a decoder-only Transformer with rotary positions."""

from lmexp.core.values.config import option
from lmexp.errors import ConfigError
from lmexp.models.config import ContextConfig
from lmexp.models.interface import Capability


class GPTConfig(ContextConfig):
    """A decoder-only Transformer with RoPE, RMSNorm, QK-norm, SwiGLU and grouped-query attention."""

    num_layers: int = option(default=4, ge=1, le=1024)
    """Number of Transformer blocks."""

    num_heads: int = option(default=4, ge=1, le=1024)
    """Number of query heads."""

    num_kv_heads: int = option(default=4, ge=1, le=1024)
    """Number of key and value heads; divides `num_heads`."""

    d_model: int = option(default=256, ge=2, le=1_048_576)
    """Width of the residual stream."""

    head_dim: int | None = option(default=None, ge=2, le=65_536)
    """Width of one head, even; null means d_model / num_heads."""

    d_ff: int | None = option(default=None, ge=1, le=8_388_608)
    """Inner width of SwiGLU; null means 8/3 of d_model, rounded up to a multiple of 32."""

    tie_embeddings: bool = option(default=True)
    """Whether the output head shares the embedding matrix."""

    rope_theta: float = option(default=10_000.0, gt=0)
    """Base of the rotary frequencies (Su et al., arXiv 2104.09864)."""

    norm_eps: float = option(default=1e-6, gt=0, lt=1)
    """Added to the mean square in RMSNorm."""

    init_std: float = option(default=0.02, gt=0, le=10)
    """Standard deviation of the initial embedding; see `network` for the other weights."""

    init_offset: float = option(default=0.0, ge=0, le=100, absent_means=0.0)
    """Added at the start to the first eighth of every token's embedding: a direction that all tokens
    share, from which queries and keys without biases can learn to attend by position alone."""

    @property
    def resolved_head_dim(self) -> int:
        """Width of one head."""
        return self.head_dim if self.head_dim is not None else self.d_model // self.num_heads

    @property
    def resolved_d_ff(self) -> int:
        """Inner width of SwiGLU."""
        return self.d_ff if self.d_ff is not None else -(-(8 * self.d_model) // (3 * 32)) * 32

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "documents", "streams", "branches"})

    @property
    def label(self) -> str:
        return f"gpt-{self.num_layers}x{self.d_model}"

    @property
    def attention_width(self) -> int:
        return self.num_layers * self.num_heads * self.resolved_head_dim

    @property
    def size(self) -> str:
        return f"{self.num_layers} layers of width {self.d_model}"

    def check(self) -> None:
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
