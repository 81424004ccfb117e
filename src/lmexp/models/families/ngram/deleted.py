"""The weights of Jelinek and Mercer, fitted to the counted text itself by leaving one token out at a time.

Each predicted token is taken out of the counts, and its probability asked of what is left. With a the counts,
c_n the n - 1 tokens before w and l_n the weight of order n, its share there is

    q_n(w) = (a(c_n w) - 1) / (a(c_n .) - 1)        q_0 = 1 / V
    p = the sum over n of q_n l_n x the product over the orders above n of (1 - l)

An order whose context was followed by this token alone has nothing left, and hands all to the order below.
The weights that make the product of all p greatest come by expectation and maximization: l_n becomes, of all
that reaches order n, the part that stays there. An order that nothing ever reaches gets 0.

Tokens alike in their n-gram of the highest order, or in what they have of it at the beginning of a document,
have the same p, and are one row with its count.

Source: Jelinek and Mercer 1980 (deleted interpolation, here with one token deleted); Ney, Essen and Kneser
1994 (leaving one out).
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.counts import Counts
from lmexp.models.families.ngram.grams import Ints

Floats = NDArray[np.float64]

MOST_ROUNDS = 200
_CHANGE = 1e-7
"""Rounds end where no weight moves further than this."""


def deleted_interpolation(counts: Counts, bos_token_id: int) -> tuple[float, ...]:
    """Return the weights of orders 1, 2 and so on, each in [0, 1]."""
    shares, has_any, times = _left_out(counts, bos_token_id)
    weights = np.full(len(shares), 0.5)
    for _ in range(MOST_ROUNDS):
        new = _round(shares, has_any, times, weights, len(counts.tokens))
        moved = float(np.abs(new - weights).max())
        weights = new
        if moved < _CHANGE:
            break
    return tuple(float(weight) for weight in weights)


def _round(
    shares: list[Floats], has_any: list[NDArray[np.bool_]], times: Floats, weights: Floats, vocab_size: int
) -> Floats:
    """Return better weights."""
    below = [np.full(len(times), 1 / vocab_size)]  # p without the orders from n upwards
    for share, known, weight in zip(shares, has_any, weights, strict=True):
        below.append(np.where(known, weight * share + (1 - weight) * below[-1], below[-1]))
    reaching = times.copy()
    result = np.zeros(len(weights))
    for n in range(len(weights) - 1, -1, -1):
        stays = np.zeros(len(times))
        np.divide(weights[n] * shares[n], below[n + 1], out=stays, where=has_any[n])
        all_of_it = float(reaching[has_any[n]].sum())
        result[n] = float((reaching * stays).sum()) / all_of_it if all_of_it else 0.0
        reaching *= 1 - stays
    return result


def _left_out(counts: Counts, bos_token_id: int) -> tuple[list[Floats], list[NDArray[np.bool_]], Floats]:
    """Return, of each order from 1, what each row's token has left of it, whether it has any, and the counts.

    A row is an n-gram of the highest order, or a shorter one that begins a document.
    """
    vocab_size = len(counts.tokens)
    numbers = [counts.tokens, *(level.counts for level in counts.levels)]
    totals = [np.array([counts.tokens.sum()])]
    contexts = [np.zeros(vocab_size, dtype=np.int64)]
    begins = [np.arange(vocab_size) == bos_token_id]
    for level in counts.levels:
        context = level.keys // vocab_size
        contexts.append(context)
        totals.append(np.bincount(context, weights=level.counts, minlength=len(begins[-1])).astype(np.int64))
        begins.append(begins[-1][context])
    highest = len(numbers)
    shares: list[list[Floats]] = [[] for _ in range(highest)]
    times: list[Ints] = []
    for n in range(1, highest + 1):
        if n == highest:
            indices = np.flatnonzero(numbers[n - 1])
        elif n > 1:
            indices = np.flatnonzero(begins[n - 1])
        else:
            continue
        times.append(numbers[n - 1][indices])
        for lower in range(highest, 0, -1):
            if lower > n:
                shares[lower - 1].append(np.full(len(times[-1]), np.nan))
                continue
            rest = totals[lower - 1][contexts[lower - 1][indices]] - 1
            share = np.full(len(indices), np.nan)
            np.divide(numbers[lower - 1][indices] - 1, rest, out=share, where=rest > 0)
            shares[lower - 1].append(share)
            if lower > 1:
                level = counts.levels[lower - 2]
                indices = level.suffixes[indices]
    joined = [np.concatenate(parts) for parts in shares]
    has_any = [~np.isnan(share) for share in joined]
    return [np.nan_to_num(share) for share in joined], has_any, np.concatenate(times).astype(np.float64)
