"""A Markov chain over the symbols of a line of fixed length.

Each symbol depends on the `order` symbols before it; where fewer stand before it, on those. The
newline follows the last symbol with probability 1. By the chain rule the entropy of a line is exact:

    H = sum over positions t of sum over contexts c of  P(c before t) x H(next symbol | c)

Legend: S symbols, C contexts. A context is a number in base S + 1, most recent symbol last; the digit
0 stands for "before the line", and a symbol s for s + 1.
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.known.process import entropy_bits, one_hot


class MarkovChain:
    """Lines of `line_length` symbols with next-symbol probabilities ``rows [C, S]``."""

    def __init__(self, rows: NDArray[np.float64], order: int, line_length: int) -> None:
        self.num_symbols = rows.shape[1]
        self.begin = (0, 0)  # symbols so far, context
        assert rows.shape[0] == (self.num_symbols + 1) ** order
        self._rows = rows
        self._length = line_length
        self._following = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
        self._newline = one_hot(self.num_symbols + 1, self.num_symbols)

    def following(self, state: tuple[int, int]) -> NDArray[np.float64]:
        """Return the probability of each symbol and of the newline, [S + 1]."""
        position, context = state
        return self._following[context] if position < self._length else self._newline

    def after(self, state: tuple[int, int], symbol: int) -> tuple[int, int]:
        """Return the state after a symbol."""
        position, context = state
        return position + 1, (context * (self.num_symbols + 1) + symbol + 1) % len(self._rows)

    def line_entropy_bits(self) -> float:
        """Return the exact entropy of one line."""
        num_contexts, base = len(self._rows), self.num_symbols + 1
        entropies = entropy_bits(self._rows)
        successors = (np.arange(num_contexts)[:, None] * base + np.arange(1, base)) % num_contexts  # [C, S]
        reached = one_hot(num_contexts, 0)
        total = 0.0
        for _ in range(self._length):
            total += float(reached @ entropies)
            flow = reached[:, None] * self._rows
            reached = np.zeros(num_contexts)
            np.add.at(reached, successors, flow)
        return total

    def mean_line_bytes(self) -> float:
        """Return the bytes of every line."""
        return self._length + 1.0
