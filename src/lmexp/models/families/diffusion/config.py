"""The shape of a masked diffusion model."""

from lmexp.models.families.encoder.config import EncoderConfig
from lmexp.models.interface import Capability


class DiffusionConfig(EncoderConfig):
    """An encoder whose noise hides tokens (Austin et al., arXiv 2107.03006; Sahoo et al., 2406.07524)."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"any_order", "documents"})

    @property
    def is_bound(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return f"diffusion-{self.num_layers}x{self.d_model}"
