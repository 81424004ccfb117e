"""A probabilistic grammar whose lines have one derivation each and vary in length.

Every production writes one terminal and then expands nonterminals, and the productions of a
nonterminal begin with different terminals:  A -> s B1 .. Bm,  m at most 2. A reader therefore knows
the stack of what is still to be expanded after each symbol (a simple deterministic language, Korenjak
and Hopcroft 1966), which makes the probability of a prefix a product. The newline follows with
probability 1 when the stack is empty.

With r(A) the entropy of A's choice among its productions and M(A, B) the expected number of B on the
right-hand side of A, the entropy h(A) of what A expands to solves a linear system, exactly:

    h = r + M h

It has one finite solution where the lines are finite in the mean: the rows of M sum to less than 1.
The same system with r = 1 gives the mean length.

Legend: K nonterminals, S symbols; nonterminal 0 begins a line.
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.known.process import entropy_bits, one_hot, sharp_rows

Stack = tuple[int, ...]


class Grammar:
    """``rows [K, S]``: the probability of A -> s ..; `expansions[A][s]`: its nonterminals, leftmost last."""

    def __init__(self, rows: NDArray[np.float64], expansions: list[list[Stack]]) -> None:
        self.num_symbols = rows.shape[1]
        self.begin: Stack = (0,)
        self._rows, self._expansions = rows, expansions
        self._following = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
        self._newline = one_hot(self.num_symbols + 1, self.num_symbols)

    def following(self, state: Stack) -> NDArray[np.float64]:
        """Return the probability of each symbol and of the newline, [S + 1]."""
        return self._following[state[-1]] if state else self._newline

    def after(self, state: Stack, symbol: int) -> Stack:
        """Return the stack after a symbol."""
        return state[:-1] + self._expansions[state[-1]][symbol]

    def line_entropy_bits(self) -> float:
        """Return the exact entropy of one line."""
        return self._expected(entropy_bits(self._rows))

    def mean_line_bytes(self) -> float:
        """Return the exact expected bytes of one line, the newline included."""
        return self._expected(np.ones(len(self._rows))) + 1.0

    def _expected(self, each: NDArray[np.float64]) -> float:
        """Return the expected sum over a line of `each`, [K], counted at every expansion."""
        size = len(self._rows)
        uses = np.zeros((size, size))
        for a, row in enumerate(self._expansions):
            for s, stack in enumerate(row):
                np.add.at(uses[a], list(stack), self._rows[a, s])
        return float(np.linalg.solve(np.eye(size) - uses, each)[0])


def draw_grammar(
    generator: np.random.Generator, num_states: int, num_symbols: int, mean_length: int, sharpness: float
) -> Grammar:
    """Draw a grammar whose every nonterminal expands to `mean_length` symbols in the mean.

    Of each nonterminal's productions at least one expands nothing and one expands something. The
    probability of expanding something is set so that the mean number of nonterminals on a right-hand
    side is 1 - 1 / mean_length, hence the mean length.
    """
    rows = sharp_rows(generator, (num_states, num_symbols), sharpness)
    expansions: list[list[Stack]] = []
    for row in rows:
        arities = generator.integers(0, 3, num_symbols)
        ends, goes_on = generator.permutation(num_symbols)[:2]
        arities[ends], arities[goes_on] = 0, generator.integers(1, 3)
        expansions.append([tuple(generator.integers(0, num_states, m).tolist()) for m in arities])
        more = arities > 0
        row[~more] /= row[~more].sum()
        row[more] /= row[more].sum()
        share = (1 - 1 / mean_length) / float(row[more] @ arities[more])
        row[~more] *= 1 - share
        row[more] *= share
    return Grammar(rows, expansions)
