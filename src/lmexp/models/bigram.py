"""An interpolated Kneser-Ney bigram: the baseline that sees one token back.

    p(w | v) = max(c(v, w) - D, 0) / c(v)  +  D N(v, .) / c(v)  x  p1(w)
    p1(w)    = max(N(., w) - D1, 0) / N(., .)  +  D1 |{w : N(., w) > 0}| / N(., .)  x  1 / V

where c counts, N(v, .) is how many different tokens follow v, N(., w) how many precede w, and
N(., .) how many different bigrams there are. Each discount is n1 / (n1 + 2 n2), with n1 and n2 the
numbers of counts that are 1 and 2; where that is 0, which would leave nothing for the unseen, it
is 0.5. A token that was never followed by anything falls back to p1. Every token has a positive
probability and each distribution sums to 1.

Source: Kneser and Ney 1995; Chen and Goodman 1998, section 2.7; one discount at each level.
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError


class Bigram:
    """Counts of adjacent token pairs, smoothed. Made by `Bigram.fit`."""

    def __init__(
        self,
        *,
        keys: NDArray[np.int64],
        discounted: NDArray[np.float64],
        left_over: NDArray[np.float64],
        unigram: NDArray[np.float64],
    ) -> None:
        self.vocab_size = len(unigram)
        """Number of ids, V."""
        self._keys = keys  # v V + w of each bigram seen, ascending
        self._discounted = discounted  # max(c(v, w) - D, 0) / c(v), beside `keys`
        self._left_over = left_over  # D N(v, .) / c(v), [V]; 1 for a v never followed
        self._unigram = unigram  # p1, [V]

    @classmethod
    def fit(cls, tokens: NDArray[np.integer], vocab_size: int) -> "Bigram":
        """Count the bigrams of `tokens`, [N] with ids in [0, vocab_size), in one sort.

        Errors: `DataError` for fewer than two tokens or an id outside the vocabulary.
        """
        ids = np.asarray(tokens, dtype=np.int64)
        if len(ids) < 2:
            raise DataError(f"A bigram needs at least 2 tokens to count, was given {len(ids)}.")
        _check_ids(ids, vocab_size)
        keys, counts = np.unique(ids[:-1] * vocab_size + ids[1:], return_counts=True)
        first, second = np.divmod(keys, vocab_size)
        discount = _discount(counts)
        totals = np.bincount(first, weights=counts, minlength=vocab_size)
        followers = np.bincount(first, minlength=vocab_size)
        left_over = np.ones(vocab_size)
        np.divide(discount * followers, totals, out=left_over, where=totals > 0)
        return cls(
            keys=keys,
            discounted=np.maximum(counts - discount, 0) / totals[first],
            left_over=left_over,
            unigram=_continuation(np.bincount(second, minlength=vocab_size)),
        )

    def log_probs(self, previous: NDArray[np.integer], following: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return ln p(following[i] | previous[i]) of each i, [N].

        Errors: `DataError` for an id outside the vocabulary.
        """
        before = np.asarray(previous, dtype=np.int64)
        after = np.asarray(following, dtype=np.int64)
        _check_ids(before, self.vocab_size)
        _check_ids(after, self.vocab_size)
        wanted = before * self.vocab_size + after
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        seen = np.where(self._keys[place] == wanted, self._discounted[place], 0.0)
        return np.asarray(np.log(seen + self._left_over[before] * self._unigram[after]))


def _continuation(preceders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return p1 from N(., w), [V]."""
    discount = _discount(preceders[preceders > 0])
    total = preceders.sum()
    left_over = discount * np.count_nonzero(preceders) / total
    return np.asarray(np.maximum(preceders - discount, 0) / total + left_over / len(preceders))


def _discount(counts: NDArray[np.int64]) -> float:
    """Return n1 / (n1 + 2 n2) of positive `counts`, or 0.5 where no count is 1."""
    once, twice = int(np.count_nonzero(counts == 1)), int(np.count_nonzero(counts == 2))
    return once / (once + 2 * twice) if once else 0.5


def _check_ids(ids: NDArray[np.int64], vocab_size: int) -> None:
    if len(ids) and not (ids.min() >= 0 and ids.max() < vocab_size):
        raise DataError(
            f"Token ids must lie in [0, {vocab_size}), were {ids.min()} to {ids.max()}; "
            f"were they encoded by another tokenizer?"
        )
