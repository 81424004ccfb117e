"""All ways to split many words into pieces, as arrays: sums and best ways over all of them at once.

The places of all words are numbered one after another, and an edge leads from a place to a later one of the
same word where a piece stands between them. Edges are visited by the place within their word at which they
end (or begin), so that one step of numpy serves all words. Shapes: W words, E edges, P pieces.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Lattice:
    """The ways to split `words` into pieces, whose numbers are `ids`."""

    def __init__(
        self, words: Sequence[str], ids: Mapping[str, int], longest: int, *, without_whole: bool = False
    ) -> None:
        """Find the edges, of at most `longest` characters; `without_whole` leaves out the words as such."""
        found: list[tuple[int, int, int, int, int]] = []
        first = 0
        firsts = []
        for number, word in enumerate(words):
            firsts.append(first)
            for begin in range(len(word)):
                for end in range(begin + 1, min(len(word), begin + longest) + 1):
                    piece = ids.get(word[begin:end])
                    if piece is not None and not (without_whole and end - begin == len(word)):
                        found.append((number, begin, end, first, piece))
            first += len(word) + 1
        table = np.array(found, dtype=np.int64).reshape(-1, 5)
        self.word, self._begin_in_word, self._end_in_word, base, self.piece = table.T
        self._begin, self._end = base + self._begin_in_word, base + self._end_in_word
        self._firsts = np.array(firsts, dtype=np.int64)
        self._lasts = self._firsts + np.array([len(word) for word in words], dtype=np.int64)
        self._num_places = first
        self._order()

    def keep(self, numbers: NDArray[np.int64]) -> None:
        """Leave the edges of some pieces, whose new `numbers` [P] are given; those of -1 are gone."""
        kept = numbers[self.piece] >= 0
        for name in ("word", "_begin_in_word", "_end_in_word", "_begin", "_end", "piece"):
            setattr(self, name, getattr(self, name)[kept])
        self.piece = numbers[self.piece]
        self._order()

    def expected(self, probs: Floats, counts: Floats) -> tuple[Floats, float]:
        """Return how often each piece [P] is expected, and ln of the probability of all words.

        `counts` [W] says how often each word occurs. It is the forward and backward sum of Kudo (arXiv
        1804.10959).
        """
        edge = probs[self.piece]
        forward, backward = np.zeros(self._num_places), np.zeros(self._num_places)
        forward[self._firsts] = backward[self._lasts] = 1
        for here in self._by_end:
            np.add.at(forward, self._end[here], forward[self._begin[here]] * edge[here])
        for here in self._by_begin:
            np.add.at(backward, self._begin[here], backward[self._end[here]] * edge[here])
        total = forward[self._lasts]
        often = forward[self._begin] * edge * backward[self._end] * (counts / total)[self.word]
        sums = np.bincount(self.piece, weights=often, minlength=len(probs)).astype(np.float64)
        return sums, float(counts @ np.log(total))

    def best(self, log_probs: Floats) -> Floats:
        """Return ln of the probability of the likeliest way of each word, [W]; -inf where there is none."""
        edge = log_probs[self.piece]
        found = np.full(self._num_places, -np.inf)
        found[self._firsts] = 0
        for here in self._by_end:
            np.maximum.at(found, self._end[here], found[self._begin[here]] + edge[here])
        return found[self._lasts]

    def _order(self) -> None:
        self._by_end = _groups(self._end_in_word)
        self._by_begin = _groups(self._begin_in_word)[::-1]


def _groups(keys: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the indices of equal keys together, by rising key."""
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
