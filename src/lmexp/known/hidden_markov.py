"""A hidden Markov model over lines of fixed length.

A state is drawn before the first symbol; each symbol is drawn from its state, which then moves. What
a reader knows of the state is the belief, its distribution given the symbols so far (the forward
algorithm, Rabiner 1989). The process is Markov in the belief, so the entropy of a line is exact:

    H = sum over positions t of sum over prefixes x of length t - 1 of  P(x) x H(next symbol | belief(x))

The sum runs over all S^(L-1) prefixes, and the configuration bounds their number.

Legend: K states, S symbols, L symbols of a line, N prefixes of one length.
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.known.process import entropy_bits, one_hot

Belief = tuple[int, NDArray[np.float64]]


class HiddenMarkovModel:
    """Lines of `line_length` symbols: ``start [K]``, ``transition [K, K]`` from row to column,
    ``emission [K, S]``."""

    def __init__(
        self,
        start: NDArray[np.float64],
        transition: NDArray[np.float64],
        emission: NDArray[np.float64],
        line_length: int,
    ) -> None:
        self.num_symbols = emission.shape[1]
        self.begin: Belief = (0, start)  # symbols so far, belief
        self._start, self._transition, self._emission = start, transition, emission
        self._following = np.concatenate([emission, np.zeros((len(start), 1))], axis=1)  # [K, S + 1]
        self._length = line_length
        self._newline = one_hot(self.num_symbols + 1, self.num_symbols)

    def following(self, state: Belief) -> NDArray[np.float64]:
        """Return the probability of each symbol and of the newline, [S + 1]."""
        position, belief = state
        return belief @ self._following if position < self._length else self._newline

    def after(self, state: Belief, symbol: int) -> Belief:
        """Return the state after a symbol."""
        position, belief = state
        joint = belief * self._emission[:, symbol]
        return position + 1, (joint / joint.sum()) @ self._transition

    def line_entropy_bits(self) -> float:
        """Return the exact entropy of one line."""
        joint = self._start[None]  # P(prefix, state), [N, K]
        total = 0.0
        for position in range(self._length):
            weights = joint.sum(1)
            total += float(weights @ entropy_bits(joint / weights[:, None] @ self._emission))
            if position + 1 < self._length:
                moved = (joint[:, None] * self._emission.T) @ self._transition  # [N, S, K]
                joint = moved.reshape(-1, len(self._start))
        return total

    def mean_line_bytes(self) -> float:
        """Return the bytes of every line."""
        return self._length + 1.0
