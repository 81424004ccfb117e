"""The shape of a bidirectional encoder."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.core.values.config import option
from lmexp.errors import ConfigError
from lmexp.models.config import ContextConfig
from lmexp.models.interface import Capability


class EncoderConfig(ContextConfig):
    """A bidirectional Transformer (BERT: Devlin et al., arXiv 1810.04805)."""

    goes_with: ClassVar[Mapping[str, str]] = {"objective": "masked_token"}

    num_layers: int = option(default=4, ge=1, le=1024)
    """Number of Transformer blocks."""

    num_heads: int = option(default=4, ge=1, le=1024)
    """Number of heads; divides `d_model`."""

    d_model: int = option(default=256, ge=2, le=1_048_576)
    """Width of the residual stream."""

    d_ff: int | None = option(default=None, ge=1, le=8_388_608)
    """Inner width of the MLP; null means four times d_model."""

    norm_eps: float = option(default=1e-12, gt=0, lt=1)
    """Added to the variance in LayerNorm."""

    init_std: float = option(default=0.02, gt=0, le=10)
    """Standard deviation of the initial matrices and embeddings."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"masked_token", "documents"})

    @property
    def resolved_d_ff(self) -> int:
        """Inner width of the MLP."""
        return self.d_ff if self.d_ff is not None else 4 * self.d_model

    @property
    def label(self) -> str:
        return f"encoder-{self.num_layers}x{self.d_model}"

    @property
    def attention_width(self) -> int:
        return self.num_layers * self.d_model

    @property
    def size(self) -> str:
        return f"{self.num_layers} bidirectional layers of width {self.d_model}"

    def check(self) -> None:
        if self.d_model % self.num_heads:
            raise ConfigError(f"d_model ({self.d_model}) must be a multiple of num_heads ({self.num_heads}).")
