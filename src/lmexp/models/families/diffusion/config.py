"""The shape of a masked diffusion model."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.models.families.qwen3.config import GPTConfig
from lmexp.models.interface import Capability


class DiffusionConfig(GPTConfig):
    """A Transformer that sees both sides and whose noise hides tokens (Sahoo et al., arXiv 2406.07524)."""

    goes_with: ClassVar[Mapping[str, str]] = {"objective": "masked_diffusion"}

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"any_order", "documents"})

    @property
    def is_bound(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"diffusion-{self.num_layers}x{self.d_model}"

    @property
    def size(self) -> str:
        return f"{self.num_layers} bidirectional layers of width {self.d_model}"
