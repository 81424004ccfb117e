"""Interpolated Kneser-Ney: from counts to weights.

    p_n(w | c) = max(a(c w) - D_n, 0) / a(c .)  +  D_n N(c .) / a(c .)  x  p_{n-1}(w | c')
    p_1(w)     = max(a(w) - D_1, 0) / a(.)      +  D_1 N(.) / a(.)      x  1 / V

c is a context of n - 1 tokens and c' the same without its first; a(c .) sums a(c w) over all w, and N(c .)
is how many different w follow c. At the highest order, a(c w) is how often c w occurs. Below it, a(c w) is
how many different tokens stand before c w: a word seen often but after one word alone is no good guess
after others. Nothing stands before an n-gram that begins with `bos`, and a is how often it occurs there.
Since nothing else has nothing before it, a continuation count of 0 is what tells those n-grams.

Each D_n is n1 / (n1 + 2 n2), with n1 and n2 the numbers of a(c w) of order n that are 1 and 2; where n1 is
0, which would leave nothing for the unseen, it is 0.5. A context that was never followed has a weight of 1
for the shorter one. Each D_n lies in (0, 1], hence every token of the vocabulary has a positive probability
after every context, and each distribution sums to 1.

Source: Kneser and Ney 1995; Chen and Goodman 1998, section 2.7; one discount at each order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.counts import Counts
from lmexp.models.families.ngram.grams import Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Adjusted:
    """The counts a(c w) of the formula; all that a model is made of."""

    tokens: Ints
    """Of each token of the vocabulary, [V]."""

    keys: Sequence[Ints]
    """The n-grams of order 2, 3 and so on, as `grams` has them."""

    counts: Sequence[Ints]
    """Of each n-gram beside `keys`, at least 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """What one order n >= 2 adds to a probability, beside its keys.

    Both arrays have one entry more than there are n-grams, so that index -1, what `grams.find` says of an
    n-gram that is not there, reads what holds for it.
    """

    discounted: Floats
    """max(a(c w) - D, 0) / a(c .) of each n-gram, and 0 at last, [G + 1]."""

    left_over: Floats
    """D N(c .) / a(c .) of each n-gram c of the order below, and 1 at last, [C + 1]; 1 for a c that was
    never followed."""


def adjusted(counts: Counts) -> Adjusted:
    """Return the counts of the formula; they take the place of `counts`, whose levels are given back."""
    keys: list[Ints] = []
    numbers = [counts.tokens, *(level.counts for level in counts.levels)]
    for n, level in enumerate(counts.levels):
        before = np.bincount(level.suffixes, minlength=len(numbers[n]))
        numbers[n] = np.where(before > 0, before, numbers[n])
        keys.append(level.keys)
    return Adjusted(tokens=numbers[0], keys=keys, counts=numbers[1:])


def unigram(tokens: Ints) -> Floats:
    """Return p_1 from its counts, [V]."""
    discount, total = _discount(tokens), tokens.sum()
    left_over = discount * np.count_nonzero(tokens) / total
    return np.asarray(np.maximum(tokens - discount, 0) / total + left_over / len(tokens))


def weights(keys: Ints, counts: Ints, *, num_contexts: int, vocab_size: int) -> Weights:
    """Return the weights of one order from its n-grams, whose contexts are `num_contexts` n-grams."""
    contexts = keys // vocab_size
    totals = np.bincount(contexts, weights=counts, minlength=num_contexts)
    followers = np.bincount(contexts, minlength=num_contexts)
    discount = _discount(counts)
    left_over = np.ones(num_contexts + 1)
    np.divide(discount * followers, totals, out=left_over[:-1], where=totals > 0)
    discounted = np.zeros(len(keys) + 1)
    np.divide(np.maximum(counts - discount, 0), totals[contexts], out=discounted[:-1])
    return Weights(discounted=discounted, left_over=left_over)


def _discount(counts: Ints) -> float:
    """Return n1 / (n1 + 2 n2) of `counts`, or 0.5 where none is 1."""
    once, twice = int(np.count_nonzero(counts == 1)), int(np.count_nonzero(counts == 2))
    return once / (once + 2 * twice) if once else 0.5
