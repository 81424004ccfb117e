"""The settings of an n-gram model."""

from lmexp.core.values.config import Config, option


class NGramConfig(Config):
    """A model that sees the last few tokens and counts what followed them in the training text.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    order: int = option(default=3, ge=1, le=16)
    """Most tokens of an n-gram; 2 is a bigram, which sees one token back."""

    smoothing: str = option(default="kneser_ney", choices=("kneser_ney",))
    """How unseen n-grams get their probability: `kneser_ney` interpolates all orders, one discount each."""

    @property
    def label(self) -> str:
        """The family and its order in a word, for an artifact's name: `ngram-3`."""
        return f"ngram-{self.order}"

    @property
    def size(self) -> str:
        """The model's size in words, for its card: `n-grams of up to 3 tokens`."""
        return f"n-grams of up to {self.order} token{'s' if self.order > 1 else ''}"
