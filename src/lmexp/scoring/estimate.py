"""What a scorer gives that estimates a bound: a mean over draws, and how far it may be off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lmexp.models.interface import Pair


@dataclass(frozen=True)
class Estimate:
    """The bound of a continuation, by the mean over draws."""

    log_probs: NDArray[np.float64]
    """The part of each token, in nats and negative, [n]; minus their sum is the bound."""
    variance: float
    """Of the sum, in nats squared."""


@runtime_checkable
class Estimates(Protocol):
    """A scorer of a model whose nats are an upper bound."""

    def estimates(self, pairs: Sequence[Pair]) -> list[Estimate]:
        """Return the bound of each continuation."""
        ...


def gives_estimates(scorer: object) -> TypeGuard[Estimates]:
    """Return whether a scorer gives bounds."""
    return isinstance(scorer, Estimates)
