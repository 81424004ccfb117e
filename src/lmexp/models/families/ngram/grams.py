"""All different n-grams of a text as sorted arrays, one level for each order, and how two texts' join.

An n-gram of order n >= 2 is the pair (its first n - 1 tokens, its last token). The first n - 1 tokens are
an n-gram of the level below, known there by an index, so that the pair is one integer:

    key = index of the first n - 1 tokens x V + last token

with V the size of the vocabulary. At order 1 the index of a token is its id, and no level is held. Keys
ascend, hence the n-grams that follow one context lie side by side, by ascending token. Each n-gram also
knows its suffix: the index, one level below, of its last n - 1 tokens.

Texts are joined level by level: keys are rewritten to the joined indices of the level below, which leaves
them ascending, and their union is the joined level.

A level holds 24 bytes for each different n-gram. Keys must stay below 2^63, which V = 2^17 reaches at
7 x 10^13 different n-grams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """The G different n-grams of one order n >= 2."""

    keys: Ints
    """(index of the first n - 1 tokens) V + last token, ascending, [G]."""

    counts: Ints
    """How often each occurs, [G]."""

    suffixes: Ints
    """Index, at the level below, of the last n - 1 tokens of each, [G]."""


def find(keys: Ints, contexts: Ints, tokens: NDArray[np.integer], vocab_size: int) -> Ints:
    """Return the index in ascending `keys` of each n-gram (context, token), -1 where it is not there.

    `contexts` are indices of the level below, -1 for one that is not there either; [N], as `tokens`.
    """
    if not len(keys):
        return np.full(len(contexts), -1, dtype=np.int64)
    wanted = contexts * vocab_size + tokens  # below 0 where there is no context, and no key is
    order = _nearly_ascending(wanted)  # a search finds the last one's path in the cache, and takes a third
    ascending = wanted[order]
    found = np.searchsorted(keys, ascending)
    found[found == len(keys)] = 0
    found[keys[found] != ascending] = -1
    places = np.empty(len(wanted), dtype=np.int64)
    places[order] = found
    return places


def _nearly_ascending(values: Ints) -> Ints:
    """Return the places of `values` in ascending order, but for bits too low to matter to a cache, [N].

    High bits and place are sorted as one integer, in a fraction of the time of an argsort.
    """
    place_bits = len(values).bit_length()
    spare = max(int(values.max(initial=0)).bit_length() + place_bits - 63, 0)
    both = np.sort((values >> spare) << place_bits | np.arange(len(values)))
    return np.asarray(both & (2**place_bits - 1))


def is_first(ascending: Ints) -> NDArray[np.bool_]:
    """Return whether each of ascending values is the first of its equals, [N]."""
    first = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return first


def joined(texts: Sequence[list[Level]], vocab_size: int) -> list[Level]:
    """Return the levels of several texts together, orders 2 upwards, with their counts added.

    Each text's levels are taken out of its list as they are joined, so that memory is given back.
    """
    result: list[Level] = []
    moved = [np.arange(vocab_size)] * len(texts)  # of each text, new index of each old one of the level below
    while all(texts):
        level, moved = _joined([levels.pop(0) for levels in texts], moved, vocab_size)
        result.append(level)
    return result


def _joined(parts: list[Level], below: list[Ints], vocab_size: int) -> tuple[Level, list[Ints]]:
    """Return one order's levels as one, and of each the new index of each of its n-grams."""
    keys = [rewritten(part.keys, new, vocab_size) for part, new in zip(parts, below, strict=True)]
    union = np.sort(np.concatenate(keys))
    union = union[is_first(union)]
    counts, suffixes = np.zeros((2, len(union)), dtype=np.int64)
    moved = []
    for part, own, new in zip(parts, keys, below, strict=True):
        places = np.searchsorted(union, own)
        counts[places] += part.counts
        suffixes[places] = new[part.suffixes]
        moved.append(places)
    return Level(keys=union, counts=counts, suffixes=suffixes), moved


def rewritten(keys: Ints, below: Ints, vocab_size: int) -> Ints:
    """Return `keys` with each context's old index replaced by its new one in `below`."""
    contexts = keys // vocab_size
    return keys + (below[contexts] - contexts) * vocab_size
