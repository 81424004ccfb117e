"""What the configurations of all models have in common, and of those with a limited context."""

import abc

from lmexp.core.values.config import Config, option
from lmexp.models.interface import Capability


class ModelConfig(Config, abc.ABC):
    """The shape of a model; each family derives its own from it.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The family and its size in a word, for an artifact's name: `gpt-4x256`."""

    @property
    def attention_width(self) -> int:
        """Layers x heads x head width, over which queries meet keys; 0 without attention."""
        return 0

    @property
    @abc.abstractmethod
    def size(self) -> str:
        """The size in words, for a model's card: `4 layers of width 256`."""

    @property
    @abc.abstractmethod
    def can(self) -> frozenset[Capability]:
        """What a model of the family can do."""

    @property
    def is_normalized(self) -> bool:
        """Whether its probabilities sum to one; what does not is no distribution, shown and never ranked."""
        return True

    @property
    def is_bound(self) -> bool:
        """Whether the nats that a model of the family gives a text are an upper bound of its own."""
        return False

    @property
    def longest(self) -> int | None:
        """Most tokens that the model sees; None where there is no limit."""
        return None


class ContextConfig(ModelConfig):
    """The shape of a model that sees so many tokens at most."""

    context_length: int = option(default=256, ge=2, le=1_048_576)
    """Longest sequence that the model sees, in tokens."""

    @property
    def longest(self) -> int | None:
        return self.context_length
