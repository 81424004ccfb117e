"""The counts that a model is made of: plain ones, or those of Kneser and Ney.

Plain: how often c w occurs, at every order. Kneser-Ney's are that at the highest order alone. Below it,
a(c w) is how many different tokens stand before c w: a word seen often but after one word alone is no good
guess after others. Nothing stands before an n-gram that begins with `bos`, and a is how often it occurs.
Since nothing else has nothing before it, a continuation count of 0 is what tells those n-grams.

Source: Kneser and Ney 1995; Chen and Goodman 1998, section 2.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmexp.models.families.ngram.counts import Counts
from lmexp.models.families.ngram.grams import Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Adjusted:
    """The counts a(c w) of a smoothing's formula; all that a model is made of, but for fitted weights."""

    tokens: Ints
    """Of each token of the vocabulary, [V]."""

    keys: Sequence[Ints]
    """The n-grams of order 2, 3 and so on, as `grams` has them."""

    counts: Sequence[Ints]
    """Of each n-gram beside `keys`, at least 1."""


def plain(counts: Counts) -> Adjusted:
    """Return the counts as they are."""
    return Adjusted(
        tokens=counts.tokens,
        keys=[level.keys for level in counts.levels],
        counts=[level.counts for level in counts.levels],
    )


def adjusted(counts: Counts) -> Adjusted:
    """Return Kneser and Ney's counts; they take the place of `counts`, whose levels are given back."""
    keys: list[Ints] = []
    numbers = [counts.tokens, *(level.counts for level in counts.levels)]
    for n, level in enumerate(counts.levels):
        before = np.bincount(level.suffixes, minlength=len(numbers[n]))
        numbers[n] = np.where(before > 0, before, numbers[n])
        keys.append(level.keys)
    return Adjusted(tokens=numbers[0], keys=keys, counts=numbers[1:])
