"""What is taken from each count of one order, to be given to what was never seen.

With n_i the number of n-grams of the order whose count is i:

    one      D = n1 / (n1 + 2 n2)                            0.5 where n1 is 0
    three    D_i = i - (i + 1) Y n_{i+1} / n_i, i = 1, 2, 3  Y = n1 / (n1 + 2 n2)

D_i is taken from a count of i, and D_3 from all counts of 3 and more. Three cannot be estimated where one of
n1, n2, n3 is 0 or where one would lie outside (0, i]: small or artificial texts have too few rare n-grams.
Fixed ones, 0.5, 1 and 1.5, then take the place of all three, and the model says so.

Source: Ney, Essen and Kneser 1994 (one); Chen and Goodman 1998, equation 26 (three); the fixed ones are those
of KenLM's `lmplz --discount_fallback`.
"""

from dataclasses import dataclass

import numpy as np

from lmexp.models.families.ngram.grams import Ints

FIXED = (0.5, 1.0, 1.5)


@dataclass(frozen=True, kw_only=True)
class Discounts:
    """The discounts of one order."""

    values: tuple[float, ...]
    """One for all counts, or those of counts 1, 2 and from 3 upwards."""

    is_fixed: bool = False
    """Whether the text has too few rare n-grams, so that fixed ones hold."""


def one_discount(counts: Ints) -> Discounts:
    """Return the one discount of an order's counts; zeros among them count nothing."""
    once, twice = _counts_of_counts(counts, 2)
    if not once:
        return Discounts(values=(0.5,), is_fixed=True)
    return Discounts(values=(once / (once + 2 * twice),))


def three_discounts(counts: Ints) -> Discounts:
    """Return the three discounts of an order's counts; zeros among them count nothing."""
    n = (0, *_counts_of_counts(counts, 4))
    if n[1] and n[2] and n[3]:
        y = n[1] / (n[1] + 2 * n[2])
        values = tuple(i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3))
        if min(values) > 0:
            return Discounts(values=values)
    return Discounts(values=FIXED, is_fixed=True)


def _counts_of_counts(counts: Ints, most: int) -> list[int]:
    """Return how many of `counts` are 1, 2, ..., `most`."""
    return [int(np.count_nonzero(counts == i)) for i in range(1, most + 1)]
