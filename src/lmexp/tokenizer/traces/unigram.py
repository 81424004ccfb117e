"""The Unigram model (Kudo, arXiv 1804.10959): the probability of a segmentation, and its training by EM.

A segmentation of a text into pieces x_1 ... x_m has the probability p(x_1) ... p(x_m), a text the sum of
its segmentations'. One step of expectation maximisation counts each piece as often as it is expected,

    c(x) = sum over texts, over segmentations s, of  p(s) / p(text) x (how often x is in s)

and then sets p(x) = c(x) / sum of all c. No step makes the texts less likely. Sums over segmentations run
forward and backward over the places of a text: with a(i) the probability of all ways to reach place i, b(j)
that of all ways from j to the end, a piece from i to j is expected a(i) p(x) b(j) / p(text) times.

Probabilities are fractions where they are given so: of `ababc` under ab 2/3 and c 1/3 it is 4/27. The text is
split anywhere, white space is a character like any other.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lmexp.errors import DataError

Pieces = Mapping[str, Fraction | float]
"""The probability of each piece."""


@dataclass(frozen=True)
class Segmentation:
    """One way to split a text into pieces."""

    pieces: tuple[str, ...]
    prob: Fraction | float


@dataclass(frozen=True)
class Step:
    """One step of expectation maximisation."""

    log_likelihood: float
    """ln of the texts' probability before the step, in nats."""
    expected: dict[str, float]
    """How often each piece is expected in the texts."""
    probs: dict[str, float]
    """The probability of each piece after the step."""


def segmentations(text: str, pieces: Pieces, number: int | None = None) -> list[Segmentation]:
    """Return the `number` likeliest ways to split `text` into pieces, or all, which may be very many.

    The likeliest comes first, of equal ones the one whose last piece is longest. A piece of probability 0
    is none.
    """
    longest = max([1, *map(len, pieces)])
    ways = deque([[Segmentation((), _one(pieces))]], maxlen=longest)  # to the last places before `end`
    for end in range(1, len(text) + 1):
        found = [
            (before.prob * prob, before, text[begin:end])
            for begin, befores in enumerate(ways, start=end - len(ways))
            if (prob := pieces.get(text[begin:end], 0))
            for before in befores
        ]
        found.sort(key=lambda way: -way[0])
        ways.append([Segmentation((*before.pieces, piece), prob) for prob, before, piece in found[:number]])
    return ways[-1]


def best_segmentation(text: str, pieces: Pieces) -> Segmentation:
    """Return the most likely segmentation (Viterbi), of equals the one whose last piece is longest.

    Errors: `DataError` for a text that the pieces cannot spell.
    """
    found = segmentations(text, pieces, 1)
    if not found:
        raise DataError(f"{text[:80]!r} cannot be split into the pieces; add one for each character of it.")
    return found[0]


def probability(text: str, pieces: Pieces) -> Fraction | float:
    """Return the probability of `text`, the sum over all of its segmentations; 0 where there is none."""
    return _forward(text, pieces)[-1]


def em(texts: Sequence[str], pieces: Pieces) -> Iterator[Step]:
    """Yield the steps of expectation maximisation, without end.

    Errors: `DataError` for a text that the pieces cannot spell, and for one too long to have a probability
    above 0 in floating point.
    """
    probs = {piece: float(prob) for piece, prob in pieces.items()}
    while True:
        expected, log_likelihood = dict.fromkeys(probs, 0.0), 0.0
        for text in texts:
            forward, backward = _forward(text, probs), _forward(text[::-1], _reversed(probs))[::-1]
            total = float(forward[-1])
            if not total:
                best_segmentation(text, probs)  # says so where there is none
                raise DataError(
                    f"the probability of {text[:80]!r} is below any float's; cut it into shorter texts."
                )
            log_likelihood += math.log(total)
            for begin in range(len(text)):
                for end in range(begin + 1, len(text) + 1):
                    piece = text[begin:end]
                    if probs.get(piece):
                        expected[piece] += float(forward[begin] * probs[piece] * backward[end]) / total
        number = sum(expected.values())
        probs = {piece: count / number for piece, count in expected.items()}
        yield Step(log_likelihood, expected, probs)


def _forward(text: str, pieces: Pieces) -> list[Fraction | float]:
    """Return the probability of all ways to reach each place of `text`, from its beginning."""
    found: list[Fraction | float] = [_one(pieces)]
    for end in range(1, len(text) + 1):
        ways = (found[begin] * pieces.get(text[begin:end], 0) for begin in range(end))
        found.append(sum(ways, start=_one(pieces) * 0))
    return found


def _reversed(pieces: Pieces) -> dict[str, Fraction | float]:
    return {piece[::-1]: prob for piece, prob in pieces.items()}


def _one(pieces: Pieces) -> Fraction | float:
    """Return 1 as a fraction where all probabilities are."""
    return Fraction(1) if all(isinstance(prob, Fraction) for prob in pieces.values()) else 1.0
