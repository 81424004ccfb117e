"""The shapes of recurrent networks."""

from typing import ClassVar

from lmexp.core.values.config import option
from lmexp.models.config import ModelConfig
from lmexp.models.interface import Capability


class RecurrentConfig(ModelConfig):
    """Layers of one recurrent cell between an embedding and a head."""

    cell: ClassVar[str]
    """Name of the cell, in lower case."""

    num_layers: int = option(default=2, ge=1, le=1024)
    """Number of recurrent layers, each of which reads the one below it."""

    d_model: int = option(default=256, ge=1, le=1_048_576)
    """Width of the embedding and of each layer's state."""

    tie_embeddings: bool = option(default=True)
    """Whether the output head shares the embedding matrix (Inan et al., arXiv 1611.01462; Press and Wolf,
    arXiv 1608.05859)."""

    init_std: float = option(default=0.02, gt=0, le=10)
    """Standard deviation of the initial embedding; see `network` for the other weights."""

    word_dropout: float = option(default=0.0, ge=0, lt=1, absent_means=0.0)
    """Share of the vocabulary's ids whose embeddings are dropped in a training step, wherever they stand
    (Gal and Ghahramani, arXiv 1512.05287)."""

    embedding_dropout: float = option(default=0.0, ge=0, lt=1, absent_means=0.0)
    """Share of the embeddings' numbers that are dropped before the first layer."""

    layer_dropout: float = option(default=0.0, ge=0, lt=1, absent_means=0.0)
    """Share of a layer's outputs that are dropped before the next one."""

    output_dropout: float = option(default=0.0, ge=0, lt=1, absent_means=0.0)
    """Share of the last layer's outputs that are dropped before the head."""

    weight_dropout: float = option(default=0.0, ge=0, lt=1, absent_means=0.0)
    """Share of the weights from state to state that are dropped in a training step (DropConnect: Merity et
    al., arXiv 1708.02182)."""

    variational: bool = option(default=True, absent_means=True)
    """Whether activations are dropped at the same places at all times of a sample (Gal and Ghahramani); else
    anew at each time (Zaremba et al., arXiv 1409.2329)."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "documents", "streams", "carries"})

    @property
    def label(self) -> str:
        return f"{self.cell}-{self.num_layers}x{self.d_model}"

    @property
    def size(self) -> str:
        return f"{self.num_layers} {self.cell.upper()} layers of width {self.d_model}"


class RNNConfig(RecurrentConfig):
    """Simple recurrence through tanh (Elman 1990, "Finding structure in time")."""

    cell = "rnn"


class GRUConfig(RecurrentConfig):
    """Gated recurrent units (Cho et al., arXiv 1406.1078)."""

    cell = "gru"


class LSTMConfig(RecurrentConfig):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with forget gates (Gers et al. 2000)."""

    cell = "lstm"
