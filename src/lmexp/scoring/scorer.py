"""Log-probabilities of continuations: the one operation that every evaluation here is made of.

A pair is (context, continuation), both token ids. Its score is the natural logarithm of the probability
of each continuation token, given the context and the continuation before it. An empty context stands for
the beginning of a document: the token that begins one takes its place.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.models.interface import LanguageModel, Pair, require
from lmexp.scoring.config import ContinuousCacheConfig, cannot_remember
from lmexp.scoring.pairs import PairScorer


class Scorer(Protocol):
    """Anything that gives probabilities to continuations."""

    context_length: int | None
    """Most tokens that are seen before a target; None where there is no limit to speak of."""

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return, for each pair, the log-probability in nats of each continuation token."""
        ...

    def score_groups(self, groups: Sequence[Sequence[Pair]]) -> list[list[NDArray[np.float64]]]:
        """Return the same for groups of pairs, of which those of a group begin alike."""
        ...


class CountScorer(PairScorer):
    """Scores with a model that scores pairs by itself, all at once: it has no batches."""

    context_length: int | None = None

    def __init__(self, model: "Scores", bos_token_id: int) -> None:
        self._model = model
        self._bos = bos_token_id

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each continuation."""
        return self._model.score(pairs, self._bos)


@runtime_checkable
class Scores(LanguageModel, Protocol):
    """A model that scores pairs by itself."""

    def score(self, pairs: Sequence[Pair], bos_token_id: int) -> list[NDArray[np.float64]]:
        """Return the log-probabilities in nats of each continuation; `bos_token_id` begins a document."""
        ...


def scorer_of(
    model: LanguageModel,
    *,
    bos_token_id: int,
    batch_size: int | None = None,
    context_length: int | None = None,
    draws: int | None = None,
    cache: ContinuousCacheConfig | None = None,
    purpose: str = "scoring",
) -> Scorer:
    """Return what scores with `model`, for what needs it, its `purpose`.

    At most `batch_size` sequences go into one forward pass, by default what a budget of tokens holds
    (`lmexp.scoring.batches`). `context_length` narrows what is seen before a target, by default as much as
    the model can. Who can use a bound of the nats gives the number of `draws` for it: then a model of any
    order gives that of `lmexp.scoring.bound`. `cache` adds a memory of the document that is scored.
    Errors: `DataError` for a model that gives no next token a probability, nor a bound that can be used, and
    for one with which nothing can be remembered, where that is asked for.
    """
    if draws is not None and "any_order" in model.can:
        from lmexp.models.network import MaskedNetwork
        from lmexp.scoring.bound import BoundScorer

        assert isinstance(model, MaskedNetwork), "a model of any order is a network with a mask"
        assert model.context_length is not None, "a network with a mask has a limit"
        seen = context_length if context_length is not None else model.context_length
        return BoundScorer(
            model, context_length=seen, batch_size=batch_size, bos_token_id=bos_token_id, draws=draws
        )
    require(model, ["next_token"], purpose)
    if cache is not None and cache.num_tokens is not None:
        return _remembering(model, cache, bos_token_id, batch_size, context_length)
    if isinstance(model, Scores):
        return CountScorer(model, bos_token_id)
    from lmexp.models.network import BranchingNetwork, CausalNetwork
    from lmexp.scoring.network import NetworkScorer
    from lmexp.scoring.shared_prefix import SharedPrefixScorer

    assert isinstance(model, CausalNetwork), "a model that gives tokens probabilities scores, or is a network"
    kind = SharedPrefixScorer if isinstance(model, BranchingNetwork) else NetworkScorer
    limit = context_length if context_length is not None else model.context_length
    return kind(model, context_length=limit, batch_size=batch_size, bos_token_id=bos_token_id)


def _remembering(
    model: LanguageModel,
    cache: ContinuousCacheConfig,
    bos_token_id: int,
    batch_size: int | None,
    context_length: int | None,
) -> Scorer:
    from lmexp.models.network import CausalNetwork
    from lmexp.scoring.continuous_cache import ContinuousCacheScorer

    if not isinstance(model, CausalNetwork):
        raise DataError(cannot_remember(f"a model of the family {model.family} has none"))
    if model.context_length is not None or context_length is not None:
        raise DataError(cannot_remember("here it is read in windows"))
    return ContinuousCacheScorer(model, cache=cache, batch_size=batch_size, bos_token_id=bos_token_id)
