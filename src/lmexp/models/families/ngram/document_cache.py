"""A cache: what the document has said so far, mixed into the probability of each next token.

    p(w) = l_1 c(w) / c(.)  +  l_2 c(v w) / c(v .)  +  (the rest) p of the n-gram

c counts the tokens of the document before w, since the last `bos`, which is none of them; v is the token
before w, `bos` too. A share that has counted nothing yet leaves its weight to the n-gram. So each is a
distribution over the whole vocabulary wherever the n-gram is: a cache shares out l_1 + l_2 among what was
seen, and no more.

How often a token occurred before, at all of its places in a text at once, is its rank among its equals: one
stable sort, and no loop over tokens.

Source: Kuhn and De Mori 1990 (a cache of words); Goodman 2001, section 3 (of pairs).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.grams import Ints
from lmexp.models.families.ngram.smoothing import Floats


def mixed_along(
    probs: Floats, ids: Ints, begins_row: NDArray[np.bool_], bos_token_id: int, weights: Sequence[float]
) -> Floats:
    """Return p of each of `ids` from that of the n-gram, `probs`, both [N].

    `ids` are rows one after the other, of which `begins_row` marks the first of each; a row sees no other,
    and its first token no cache.
    """
    is_bos = ids == bos_token_id
    document = np.cumsum(begins_row | is_bos)  # of a bos: the document that it begins
    seen_by = np.concatenate(([0], document[:-1]))  # the document that a token is predicted in
    seen_by[begins_row] = 0
    told = ~is_bos
    inside = told & ~begins_row
    told_before = np.zeros(len(ids), dtype=np.int64)
    told_before[1:] = (_rank(document, told) + told)[:-1]
    told_before[begins_row] = 0
    same = np.where(inside, _rank(_pairs(document, ids), told), 0)
    shares = [(told_before, same)]
    if len(weights) > 1:
        previous = np.concatenate(([0], ids[:-1]))
        follows = ~begins_row
        contexts = _pairs(seen_by, previous)
        after = np.where(follows, _rank(contexts, follows), 0)
        _, numbers = np.unique(contexts, return_inverse=True)  # or a pair with a third would pass 2^63
        both = np.where(inside, _rank(_pairs(numbers.reshape(-1), ids), follows), 0)
        shares.append((after, both))
    rest = np.ones(len(ids))
    added = np.zeros(len(ids))
    for weight, (counted, equal) in zip(weights, shares, strict=True):
        known = counted > 0
        rest[known] -= weight
        added[known] += weight * equal[known] / counted[known]
    return rest * probs + added


def mixed_after(probs: Floats, document: Ints, weights: Sequence[float]) -> Floats:
    """Return p of each token from that of the n-gram, `probs`, both [V], after `document`, its `bos` first.

    A document that does not begin with its `bos` begins with -1.
    """
    rest, added = 1.0, np.zeros(len(probs))
    for n, weight in enumerate(weights, start=1):
        told = document[1:] if n == 1 else document[1:][document[:-1] == document[-1]]
        if len(told):
            rest -= weight
            added += weight * np.bincount(told, minlength=len(probs)) / len(told)
    return np.asarray(rest * probs + added)


def _pairs(first: Ints, second: Ints) -> Ints:
    """Return a number for each different pair of numbers below N and ids, [N]."""
    return np.asarray(first * (int(second.max()) + 1) + second)


def _rank(values: Ints, counted: NDArray[np.bool_]) -> Ints:
    """Return of each place how many places before it hold its value and are `counted`, [N]."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    first = np.ones(len(values), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    before: Ints = np.cumsum(counted[order]) - counted[order]
    sizes = np.diff(np.append(np.flatnonzero(first), len(values)))
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = before - np.repeat(before[first], sizes)
    return ranks
