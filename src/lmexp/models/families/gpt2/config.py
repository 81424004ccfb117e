"""The shape of a GPT-2."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lmexp.core.values.config import option
from lmexp.errors import ConfigError
from lmexp.models.config import ContextConfig
from lmexp.models.interface import Capability


class GPT2Config(ContextConfig):
    """GPT-2 (Radford et al. 2019): learned positions, LayerNorm, GELU and biases."""

    former: ClassVar[Mapping[str, Any]] = {
        "num_kv_heads": 4,
        "head_dim": None,
        "rope_theta": 10_000.0,
        "init_offset": 0.0,
    }
    former_unhashed: ClassVar[frozenset[str]] = frozenset({"init_offset"})

    num_layers: int = option(default=4, ge=1, le=1024)
    """Number of Transformer blocks."""

    num_heads: int = option(default=4, ge=1, le=1024)
    """Number of heads; divides `d_model`."""

    d_model: int = option(default=256, ge=2, le=1_048_576)
    """Width of the residual stream."""

    d_ff: int | None = option(default=None, ge=1, le=8_388_608)
    """Inner width of the MLP; null means four times d_model."""

    tie_embeddings: bool = option(default=True)
    """Whether the output head shares the embedding matrix."""

    norm_eps: float = option(default=1e-6, gt=0, lt=1)
    """Added to the variance in LayerNorm."""

    init_std: float = option(default=0.02, gt=0, le=10)
    """Standard deviation of the initial matrices and embeddings; see `network` for the exceptions."""

    @property
    def resolved_d_ff(self) -> int:
        """Inner width of the MLP."""
        return self.d_ff if self.d_ff is not None else 4 * self.d_model

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "documents", "streams", "branches"})

    @property
    def label(self) -> str:
        return f"gpt2-{self.num_layers}x{self.d_model}"

    @property
    def attention_width(self) -> int:
        return self.num_layers * self.d_model

    @property
    def size(self) -> str:
        return f"{self.num_layers} layers of width {self.d_model}"

    def check(self) -> None:
        if self.d_model % self.num_heads:
            raise ConfigError(f"d_model ({self.d_model}) must be a multiple of num_heads ({self.num_heads}).")
