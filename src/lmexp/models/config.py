"""What the configurations of all networks have in common."""

from lmexp.core.values.config import Config, option


class NetworkConfig(Config):
    """The shape of a network; each family derives its own from it.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    context_length: int = option(default=256, ge=2, le=1_048_576)
    """Longest sequence that the model sees, in tokens."""

    @property
    def label(self) -> str:
        """The family and its size in a word, for an artifact's name: `gpt-4x256`."""
        raise NotImplementedError

    @property
    def attention_width(self) -> int:
        """Layers x heads x head width, over which queries meet keys; 0 without attention."""
        return 0

    @property
    def size(self) -> str:
        """The network's size in words, for its card: `4 layers of width 256`."""
        raise NotImplementedError
