"""The shape of a neural model of a fixed window."""

from lmexp.core.values.config import option
from lmexp.models.config import ModelConfig
from lmexp.models.interface import Capability


class MLPConfig(ModelConfig):
    """A tanh layer over the embeddings of the last tokens (Bengio et al. 2003, "A neural probabilistic
    language model", JMLR 3)."""

    order: int = option(default=5, ge=2, le=1024)
    """Tokens of a window and the one that is predicted together, as of an n-gram; 5 sees four tokens back."""

    d_model: int = option(default=64, ge=1, le=1_048_576)
    """Width of a token's embedding."""

    d_ff: int = option(default=256, ge=1, le=8_388_608)
    """Width of the tanh layer."""

    direct: bool = option(default=False)
    """Whether the embeddings reach the head past the tanh layer as well; it multiplies the head's size by
    1 + (order - 1) d_model / d_ff."""

    init_std: float = option(default=0.1, gt=0, le=10)
    """Standard deviation of the initial embedding; see `network` for the other weights."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "documents", "streams", "carries"})

    @property
    def label(self) -> str:
        return f"mlp-{self.order}x{self.d_ff}"

    @property
    def size(self) -> str:
        tokens = f"{self.order - 1} token{'s' if self.order > 2 else ''}"
        direct = " and direct connections" if self.direct else ""
        return f"a window of {tokens} of width {self.d_model}, a tanh layer of width {self.d_ff}{direct}"
