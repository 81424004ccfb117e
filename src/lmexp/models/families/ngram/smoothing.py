"""From counts to weights: what each kind of smoothing makes of them.

c is a context of n - 1 tokens and c' the same without its first; a(c .) sums a(c w) over all w, and N_i(c .)
is how many different w follow c with a count of i (of 3 and more, at i = 3). V is the size of the vocabulary.

    kneser_ney            p(w | c) = max(a(c w) - D, 0) / a(c .) + D N(c .) / a(c .) x p(w | c')
    absolute_discounting  the same with plain counts at every order
    modified_kneser_ney   (a(c w) - D_i) / a(c .) + (the sum of D_i N_i(c .)) / a(c .) x p(w | c')
    jelinek_mercer        l_n a(c w) / a(c .) + (1 - l_n) p(w | c')
    maximum_likelihood    a(c w) / a(c .), and 0 after a context that was never followed
    add_k                 (a(c w) + k) / (a(c .) + k V)
    stupid_backoff        a(c w) / a(c .) where c w was seen, else b S(w | c')

Below a unigram stands 1 / V. At the beginning of a text, which has fewer tokens than a context needs, the
longest one that it has is the whole context. A context that was never followed leaves all to the shorter one,
but in `maximum_likelihood`, in `add_k` (where it gives 1 / V) and in `stupid_backoff` (b S(w | c')).
Discounts above 0 and weights below 1 leave each token something after each context, and each distribution
sums to 1; `stupid_backoff` sums to anything.

Source: Chen and Goodman 1998; Jelinek and Mercer 1980; Brants et al. 2007 (stupid backoff).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.adjusted import Adjusted, adjusted, plain
from lmexp.models.families.ngram.config import NGramConfig
from lmexp.models.families.ngram.counts import Counts
from lmexp.models.families.ngram.discounts import Discounts, one_discount, three_discounts
from lmexp.models.families.ngram.grams import Ints

Floats = NDArray[np.float64]

Rule = Literal["interpolate", "uniform", "backoff"]
"""What an order does with the one below: adds a share of it; a share of 1 / V instead; or takes it where it
does not know the n-gram itself."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """What one order n >= 2 adds to a probability, beside its keys.

    Both arrays have one entry more than there are n-grams, so that index -1, what `grams.find` says of an
    n-gram that is not there, reads what holds for it.
    """

    own: Floats
    """The order's own part of p(w | c), of each n-gram, and 0 at last, [G + 1]."""

    left_over: Floats
    """The factor of what is below, of each n-gram c of the order below, and at last of a c that is not there,
    [C + 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothed:
    """All that gives probabilities."""

    unigram: Floats
    """p of each token without a context, [V]."""

    orders: Sequence[Weights]
    """Of order 2, 3 and so on."""

    rule: Rule
    discounts: Sequence[Discounts] = ()
    """Of order 1, 2 and so on, where there are any."""


def kept(smoothing: str, counts: Counts) -> Adjusted:
    """Return the counts that a kind of smoothing is made of; they may take the place of `counts`."""
    return adjusted(counts) if smoothing in ("kneser_ney", "modified_kneser_ney") else plain(counts)


def smoothed(config: NGramConfig, counts: Adjusted, interpolation_weights: Sequence[float]) -> Smoothed:
    """Return the weights of all orders; `interpolation_weights` are read by `jelinek_mercer` alone."""
    discounts = _discounts(config, [counts.tokens, *counts.counts])
    orders = []
    num_contexts = vocab_size = len(counts.tokens)
    for n, (keys, numbers) in enumerate(zip(counts.keys, counts.counts, strict=True), start=1):
        order = _Order(
            contexts=keys // vocab_size, counts=numbers, num_contexts=num_contexts, vocab_size=vocab_size
        )
        if discounts:
            orders.append(order.discounted(discounts[n].values))
        elif config.smoothing == "jelinek_mercer":
            orders.append(order.weighted(interpolation_weights[n]))
        elif config.smoothing == "add_k":
            orders.append(order.added(k_of(config)))
        else:
            orders.append(order.plain(backoff_of(config) if config.smoothing == "stupid_backoff" else 0))
        num_contexts = len(keys)
    return Smoothed(
        unigram=_unigram(counts.tokens, config, discounts, interpolation_weights),
        orders=orders,
        rule=_RULES.get(config.smoothing, "interpolate"),
        discounts=discounts,
    )


_RULES: dict[str, Rule] = {"add_k": "uniform", "stupid_backoff": "backoff"}


def _discounts(config: NGramConfig, counts: Sequence[Ints]) -> list[Discounts]:
    """Return the discounts of each order; none for a kind of smoothing without."""
    if config.smoothing == "modified_kneser_ney":
        return [three_discounts(numbers) for numbers in counts]
    if config.discount is not None:
        return [Discounts(values=(config.discount,))] * len(counts)
    if config.smoothing in ("kneser_ney", "absolute_discounting"):
        return [one_discount(numbers) for numbers in counts]
    return []


class _Order:
    """The n-grams of one order, and the sums over each context; fills the weights of any kind."""

    def __init__(self, *, contexts: Ints, counts: Ints, num_contexts: int, vocab_size: int) -> None:
        self._contexts, self._counts, self._vocab_size = contexts, counts, vocab_size
        self._totals = np.bincount(contexts, weights=counts, minlength=num_contexts).astype(np.float64)
        self._own, self._left_over = np.zeros(len(contexts) + 1), np.ones(num_contexts + 1)

    def discounted(self, discounts: tuple[float, ...]) -> Weights:
        """Return those of one discount or three."""
        if len(discounts) == 1:
            each: float | Floats = discounts[0]
            taken = np.asarray(discounts[0] * np.bincount(self._contexts, minlength=len(self._totals)))
        else:
            each = np.array([0.0, *discounts])[np.minimum(self._counts, 3)]
            taken = np.bincount(self._contexts, weights=each, minlength=len(self._totals)).astype(np.float64)
        np.divide(taken, self._totals, out=self._left_over[:-1], where=self._totals > 0)
        return self._over(np.maximum(self._counts - each, 0), self._totals)

    def weighted(self, weight: float) -> Weights:
        """Return those of a weight on the order's own share."""
        self._left_over[:-1][self._totals > 0] = 1 - weight
        return self._over(weight * self._counts, self._totals)

    def added(self, k: float) -> Weights:
        """Return those of `k` added to each count."""
        added = k * self._vocab_size
        self._left_over[:-1] = added / (self._totals + added)
        return self._over(self._counts, self._totals + added)

    def plain(self, left_over: float) -> Weights:
        """Return the shares as they are, above a fixed factor of what is below."""
        self._left_over[:] = left_over
        return self._over(self._counts, self._totals)

    def _over(self, numbers: NDArray[Any], totals: Floats) -> Weights:
        np.divide(numbers, totals[self._contexts], out=self._own[:-1])
        return Weights(own=self._own, left_over=self._left_over)


def _unigram(
    tokens: Ints, config: NGramConfig, discounts: Sequence[Discounts], weights: Sequence[float]
) -> Floats:
    """Return p of each token without a context, [V]."""
    total, vocab_size = tokens.sum(), len(tokens)
    if discounts:
        values = discounts[0].values
        each = np.array([0.0, *(values * 3)[:3]])[np.minimum(tokens, 3)]
        taken = values[0] * np.count_nonzero(tokens) if len(values) == 1 else each.sum()
        return np.asarray(np.maximum(tokens - each, 0) / total + taken / total / vocab_size)
    if config.smoothing == "add_k":
        return np.asarray((tokens + k_of(config)) / (total + k_of(config) * vocab_size))
    if config.smoothing == "jelinek_mercer":
        return np.asarray(weights[0] * tokens / total + (1 - weights[0]) / vocab_size)
    return np.asarray(tokens / total)


def k_of(config: NGramConfig) -> float:
    """Return what is added to each count."""
    return 1.0 if config.k is None else config.k


def backoff_of(config: NGramConfig) -> float:
    """Return the factor of an order that does not know an n-gram."""
    return 0.4 if config.backoff is None else config.backoff
