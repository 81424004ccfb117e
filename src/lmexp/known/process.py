"""Lines of text drawn from a process whose probabilities are known.

A line is letters and then a newline, which is a symbol of the line and ends it. Lines are drawn one
independently of the other, so that a text's probability is the product over its lines, and the
entropy of a text of n lines is n times that of a line. What happens inside a line is a walk over
states: each state gives the next symbol its probability, and the symbol leads to the next state.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NEWLINE = "\n"


class Process(Protocol):
    """A distribution over lines; symbols are numbers, the newline is number `num_symbols`."""

    num_symbols: int
    begin: Any
    """The state in which each line begins."""

    def following(self, state: Any) -> NDArray[np.float64]:
        """Return the probability of each symbol and of the newline, [num_symbols + 1]."""
        ...

    def after(self, state: Any, symbol: int) -> Any:
        """Return the state after a symbol, which is not the newline."""
        ...

    def line_entropy_bits(self) -> float:
        """Return the exact entropy of one line."""
        ...

    def mean_line_bytes(self) -> float:
        """Return the exact expected bytes of one line, the newline included."""
        ...


def entropy_bits_per_byte(process: Process) -> float:
    """Return the exact entropy of the text over its expected bytes."""
    return process.line_entropy_bits() / process.mean_line_bytes()


def draw_line(process: Process, generator: np.random.Generator) -> str:
    """Return one line, its newline included."""
    state = process.begin
    symbols: list[str] = []
    while True:
        cumulative = process.following(state).cumsum()
        symbol = int(cumulative.searchsorted(generator.random() * cumulative[-1], side="right"))
        if symbol == process.num_symbols:
            return "".join(symbols) + NEWLINE
        symbols.append(LETTERS[symbol])
        state = process.after(state, symbol)


def log_probs(process: Process, text: str) -> NDArray[np.float64]:
    """Return ln p of each character of `text` given those before it, [characters].

    The text begins where a line begins and may end inside one; a prefix of a text has the prefix of
    its figures. Errors: `DataError` at a character that the process cannot draw there.
    """
    number = {letter: i for i, letter in enumerate(LETTERS[: process.num_symbols])}
    number[NEWLINE] = process.num_symbols
    result = np.empty(len(text))
    state = process.begin
    for i, character in enumerate(text):
        symbol = number.get(character)
        probability = 0.0 if symbol is None else process.following(state)[symbol]
        if symbol is None or probability == 0.0:
            raise DataError(
                f"The process cannot draw {character!r} after {text[max(0, i - 20) : i]!r}; the text is "
                f"not of this `known` source, or was changed after it was drawn."
            )
        result[i] = math.log(probability)
        state = process.begin if symbol == process.num_symbols else process.after(state, symbol)
    return result


def sharp_rows(generator: np.random.Generator, shape: Sequence[int], sharpness: float) -> NDArray[np.float64]:
    """Return random distributions along the last axis, in proportion to exp(sharpness x normal)."""
    weights = np.exp(sharpness * generator.standard_normal(tuple(shape)))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def entropy_bits(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy in bits of each distribution along the last axis, 0 log 0 being 0."""
    return np.asarray(-(rows * np.log2(np.where(rows > 0, rows, 1.0))).sum(-1))


def one_hot(size: int, index: int) -> NDArray[np.float64]:
    """Return the distribution on 0 .. size - 1 that is certain of `index`."""
    row = np.zeros(size)
    row[index] = 1.0
    return row
