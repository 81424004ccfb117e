"""What scorers are made of that score one pair of a context and its continuation like any other."""

import abc
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmexp.models.interface import Pair


class PairScorer(abc.ABC):
    """A scorer to which a group is nothing but its pairs."""

    @abc.abstractmethod
    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return, for each pair, the log-probability in nats of each continuation token."""

    def score_groups(self, groups: Sequence[Sequence[Pair]]) -> list[list[NDArray[np.float64]]]:
        """Return the same for groups of pairs."""
        scores = self.score([pair for group in groups for pair in group])
        ends = np.cumsum([0, *(len(group) for group in groups)]).tolist()
        return [scores[begin:end] for begin, end in pairwise(ends)]
