"""The settings of an n-gram model."""

from lmexp.core.values.config import option
from lmexp.models.config import ModelConfig
from lmexp.models.interface import Capability


class NGramConfig(ModelConfig):
    """A model that sees the last few tokens and counts what followed them in the training text.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    order: int = option(default=3, ge=1, le=16)
    """Most tokens of an n-gram; 2 is a bigram, which sees one token back."""

    smoothing: str = option(default="kneser_ney", choices=("kneser_ney",))
    """How unseen n-grams get their probability: `kneser_ney` interpolates all orders, one discount each."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "streams"})

    @property
    def label(self) -> str:
        return f"ngram-{self.order}"

    @property
    def size(self) -> str:
        return f"n-grams of up to {self.order} token{'s' if self.order > 1 else ''}"
