"""The settings of an n-gram model.

How unseen n-grams get their probability is `smoothing`; a setting that only one kind reads is null, or empty,
with every other kind.
"""

from lmexp.core.values.config import option
from lmexp.errors import ConfigError
from lmexp.models.config import ModelConfig
from lmexp.models.interface import Capability

SMOOTHINGS = (
    "kneser_ney",
    "modified_kneser_ney",
    "absolute_discounting",
    "jelinek_mercer",
    "add_k",
    "maximum_likelihood",
    "stupid_backoff",
)

_OWN = {
    "discount": "absolute_discounting",
    "interpolation_weights": "jelinek_mercer",
    "k": "add_k",
    "backoff": "stupid_backoff",
}
"""Settings that one kind of smoothing reads, and that kind."""


class NGramConfig(ModelConfig):
    """A model that sees the last few tokens and counts what followed them in the training text.

    The vocabulary size is not here: it comes from the tokenizer.
    """

    order: int = option(default=3, ge=1, le=16)
    """Most tokens of an n-gram; 2 is a bigram, which sees one token back."""

    smoothing: str = option(default="kneser_ney", choices=SMOOTHINGS)
    """How unseen n-grams get their probability. `kneser_ney` interpolates all orders, one discount each;
    `modified_kneser_ney` has three; `absolute_discounting` is the first with plain counts at every order;
    `jelinek_mercer` mixes the shares of all orders with one weight each; `add_k` adds to each count;
    `maximum_likelihood` gives them none, and loses infinitely much on them; `stupid_backoff` scales the share
    at the longest order that knows it, which is no probability, and is never ranked."""

    discount: float | None = option(default=None, gt=0, le=1, absent_means=None)
    """What `absolute_discounting` takes from each count, at every order; null estimates one for each."""

    interpolation_weights: tuple[float, ...] = option(default=(), ge=0, le=1, absent_means=())
    """Of orders 1, 2, ..., the weight of `jelinek_mercer` on the order's own share; the rest is the order's
    below, at the last the uniform one's. Empty fits them, see `deleted`."""

    k: float | None = option(default=None, gt=0, absent_means=None)
    """What `add_k` adds to the count of each token after each context; null adds 1."""

    backoff: float | None = option(default=None, gt=0, le=1, absent_means=None)
    """What `stupid_backoff` multiplies by at each order that does not know the n-gram; null is 0.4."""

    cache: tuple[float, ...] = option(default=(), ge=0, lt=1, absent_means=())
    """Weights of what the document has said so far: of its tokens, and of those after the same token as now,
    [0.1] or [0.05,0.15] (`document_cache`). Empty leaves the cache out."""

    def check(self) -> None:
        for name, kind in _OWN.items():
            if getattr(self, name) not in (None, ()) and self.smoothing != kind:
                raise ConfigError(
                    f"{name} is read by smoothing={kind} alone, and smoothing is {self.smoothing}; leave it "
                    f"out, or set smoothing={kind}."
                )
        if len(self.cache) > 2 or sum(self.cache) >= 1:
            raise ConfigError(
                f"cache must be one or two weights that sum to less than 1, was {list(self.cache)}."
            )
        weights = self.interpolation_weights
        if weights and len(weights) != self.order:
            raise ConfigError(
                f"interpolation_weights has {len(weights)} numbers, and needs one for each order from 1 to "
                f"{self.order}; give that many, or none to fit them."
            )

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token", "streams"})

    @property
    def is_normalized(self) -> bool:
        return self.smoothing != "stupid_backoff"

    @property
    def label(self) -> str:
        kind = "" if self.smoothing == "kneser_ney" else f"-{self.smoothing}"
        return f"ngram-{self.order}{kind}{'-cache' if self.cache else ''}"

    @property
    def size(self) -> str:
        return f"n-grams of up to {self.order} token{'s' if self.order > 1 else ''}"
