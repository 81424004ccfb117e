"""Which documents share a row: best-fit packing, and rows that begin with a document.

A row has room for T inputs. The unit of packing is a document with the end-of-text token before it:
in the stream that is one range of inputs, each of which predicts the token after it, the last one
the end of text. Rows are therefore lists of ranges of the stream, and the stream stays as it is.

- `best_fit`: best-fit-decreasing bin packing (Ding et al., arXiv 2404.10830). A unit longer than a
  row is cut: whole rows, then a rest that is packed like a document. The rest of a cut document
  takes one input more than it has tokens, for the separator before it where it is not the first of
  its row. Every token of the stream is predicted exactly once. The order within a row is drawn.
- `bos_aligned`: every range begins a document and no row has padding. The documents that begin the
  rows are drawn, each length in proportion to its documents. Behind them a row takes the longest
  unread document that fits; when none fits, the shortest unread one is cropped to what is left of
  the row, and the rest of it is dropped. There are as many rows as can be filled so.

Where a model reads from the start of a document it has mostly learnt from the starts of rows. Which
documents stand there must therefore not depend on their lengths; `first_skew` says how far it does.

Both modes work on how many documents have each length, so that equal choices are made at once: n
documents cost O(n log n) for sorting and little besides. All that is drawn is drawn by a seed.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Rows of one split as ranges of its stream."""

    segments: Array
    """[S, 3], sorted by row, and within a row as they stand there: row, first input as a position in
    the stream (-1 is the end-of-text token before the first document), number of inputs."""

    num_rows: int

    cut_documents: int
    """Documents that do not lie whole in one row."""


def best_fit(starts: Array, sizes: Array, context_length: int, seed: int) -> Rows:
    """Pack every document, [N] positions of first tokens and [N] sizes with one end-of-text each."""
    generator = _generator(seed)
    whole, rest = np.divmod(sizes, context_length)
    packed = np.flatnonzero(rest)
    bins, num_bins = best_fit_decreasing((rest + (whole > 0))[packed], context_length)
    num_whole = int(whole.sum())
    document = np.repeat(np.arange(len(sizes)), whole)
    piece = np.arange(num_whole) - np.repeat(np.cumsum(whole) - whole, whole)
    row = np.concatenate([np.arange(num_whole), num_whole + bins])
    first = np.concatenate(
        [starts[document] - 1 + piece * context_length, (starts - 1 + whole * context_length)[packed]]
    )
    length = np.concatenate([np.full(num_whole, context_length), rest[packed]])
    num_rows = num_whole + num_bins
    segments = np.stack([generator.permutation(num_rows)[row], first, length], axis=1)
    segments = segments[np.lexsort((generator.permutation(len(segments)), segments[:, 0]))]
    return Rows(segments, num_rows, int((sizes > context_length).sum()))


def bos_aligned(starts: Array, sizes: Array, context_length: int, seed: int) -> Rows:
    """Fill rows with beginnings of documents, [N] positions of first tokens and [N] sizes."""
    generator = _generator(seed)
    by_size = generator.permutation(len(sizes))
    by_size = by_size[np.argsort(sizes[by_size], kind="stable")]  # equal sizes stand in a drawn order
    classes = np.minimum(sizes, context_length + 1)[by_size]  # T + 1: every longer one, always cropped
    offset = int(generator.integers(len(sizes)))
    num_rows = _most_rows(classes, context_length, offset)
    is_first = np.zeros(len(sizes), dtype=bool)
    is_first[_firsts(len(sizes), num_rows, offset)] = True
    firsts, behind = by_size[is_first], by_size[~is_first]
    patterns = _fill(classes[is_first], classes[~is_first], context_length)
    assert patterns is not None, "so many rows were found to be filled"
    numbers = generator.permutation(num_rows)
    parts = [np.stack([numbers, starts[firsts] - 1, np.minimum(sizes[firsts], context_length)], axis=1)]
    counts = np.bincount(classes[~is_first], minlength=context_length + 2)
    heads = (np.cumsum(counts) - counts).tolist()
    for begin, repeats, pattern in patterns:
        for size, times, length in pattern:
            documents = behind[heads[size] : heads[size] + times * repeats]
            heads[size] += times * repeats
            rows = np.tile(numbers[begin : begin + repeats], times)
            parts.append(np.stack([rows, starts[documents] - 1, np.full(len(rows), length)], axis=1))
    segments = np.concatenate(parts)
    segments = segments[np.argsort(segments[:, 0], kind="stable")]
    whole = int((segments[:, 2] == sizes[np.searchsorted(starts - 1, segments[:, 1])]).sum())
    return Rows(segments, num_rows, len(sizes) - whole)


def first_skew(rows: Rows, starts: Array, sizes: Array) -> float:
    """Return how far the documents that begin a row differ in length from all documents, from 0 to 1.

    It is the largest difference between the shares of both that are at most so long, over all lengths
    (the statistic of Kolmogorov and Smirnov). 0 where no row begins with a document.
    """
    leads = np.flatnonzero(np.diff(rows.segments[:, 0], prepend=-1))
    found = np.searchsorted(starts, rows.segments[leads, 1] + 1)
    begins = starts[np.minimum(found, len(starts) - 1)] == rows.segments[leads, 1] + 1
    firsts = found[begins]
    if not len(firsts):
        return 0.0
    longest = int(sizes.max()) + 1
    shares = [np.cumsum(np.bincount(some, minlength=longest)) / len(some) for some in (sizes[firsts], sizes)]
    return float(np.abs(shares[0] - shares[1]).max())


def _generator(seed: int) -> np.random.Generator:
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _firsts(num_documents: int, num_rows: int, offset: int) -> Array:
    """Return which of the documents, in the order of their sizes, begin rows: evenly spread, [num_rows].

    With `offset` drawn from 0 .. num_documents - 1, each document is among them equally often.
    """
    return (np.arange(num_rows) * num_documents + offset) // max(1, num_rows)


def _most_rows(classes: Array, context_length: int, offset: int) -> int:
    """Return a number of rows that can be filled where one more cannot, by bisection."""
    fits, too_many = (
        0,
        min(len(classes), int(np.minimum(classes, context_length).sum()) // context_length) + 1,
    )
    while too_many - fits > 1:
        num_rows = (fits + too_many) // 2
        is_first = np.zeros(len(classes), dtype=bool)
        is_first[_firsts(len(classes), num_rows, offset)] = True
        if _fill(classes[is_first], classes[~is_first], context_length) is None:
            too_many = num_rows
        else:
            fits = num_rows
    return fits


Pattern = list[tuple[int, int, int]]
"""What stands behind the first document of a row: (size, how many of it, inputs taken of each)."""


def _fill(firsts: Array, behind: Array, context_length: int) -> list[tuple[int, int, Pattern]] | None:
    """Return (first row, number of rows, pattern) for all rows; None if there are too few documents.

    `firsts` has the size of each row's first document, sorted, and `behind` those of all others; both
    have T + 1 for every longer one. The rows with most room are filled first.
    """
    counts = np.bincount(behind, minlength=context_length + 2).tolist()
    bits = sum(1 << size for size, count in enumerate(counts) if count)
    found: list[tuple[int, int, Pattern]] = []
    filled = 0
    sizes, ends = np.unique(firsts, return_counts=True)
    for first, end in zip(sizes.tolist(), np.cumsum(ends).tolist(), strict=True):
        while filled < end:
            pattern = _next_row(counts, bits, context_length - min(first, context_length))
            if pattern is None:
                return None
            used = Counter[int]()
            for size, times, _ in pattern:
                used[size] += times
            repeats = min([end - filled, *(counts[size] // times for size, times in used.items())])
            for size, times in used.items():
                counts[size] -= times * repeats
                bits &= ~(0 if counts[size] else 1 << size)
            found.append((filled, repeats, pattern))
            filled += repeats
    return found


def _next_row(counts: list[int], bits: int, room: int) -> Pattern | None:
    """Return what fills `room` inputs of a row; None if there is too little.

    Bit s of `bits` says whether there is a document of size s.
    """
    pattern: Pattern = []
    while room:
        fitting = bits & ((2 << room) - 1)
        if fitting:
            size = fitting.bit_length() - 1
            times = min(counts[size], room // size)
            pattern.append((size, times, size))
            room -= size * times
        else:
            longer = bits >> room
            if not longer:
                return None
            size = room + (longer & -longer).bit_length() - 1
            pattern.append((size, 1, room))
            room = 0
        if pattern[-1][1] == counts[size]:
            bits &= ~(1 << size)
    return pattern


def best_fit_decreasing(sizes: Array, capacity: int) -> tuple[Array, int]:
    """Return the bin of each item, [N], and the number of bins.

    Items are placed from the largest to the smallest, each in the bin with the least room that is
    enough for it. Sizes are from 1 to `capacity`. Bins with equal room are interchangeable: all
    items of one size are placed in a few slices.
    """
    bins = np.empty(len(sizes), dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    groups, counts = np.unique(-sizes, return_counts=True)
    ends = np.cumsum(counts)
    stacks: dict[int, list[Array]] = {}  # bins by the room that they have left
    rooms = num_bins = 0  # bit r of `rooms` is set where stacks[r] has a bin
    for size, count, end in zip((-groups).tolist(), counts, ends, strict=True):
        items = order[end - count : end]
        while len(items):
            enough = rooms >> size
            if enough:
                room = size + (enough & -enough).bit_length() - 1
                chunk = stacks[room].pop()
                if not stacks[room]:
                    rooms &= ~(1 << room)
            else:
                room = capacity
                chunk = np.arange(num_bins, num_bins - (-len(items) // (capacity // size)))
                num_bins += len(chunk)
            each = room // size
            full = chunk[: len(items) // each]
            bins[items[: len(full) * each]] = np.repeat(full, each)
            items, chunk = items[len(full) * each :], chunk[len(full) :]
            left = [(full, room - each * size)]
            if len(items) and len(chunk):  # one bin takes the items that do not fill one
                bins[items] = chunk[0]
                left.append((chunk[:1], room - len(items) * size))
                items, chunk = items[:0], chunk[1:]
            for part, space in (*left, (chunk, room)):
                if len(part) and space:
                    stacks.setdefault(space, []).append(part)
                    rooms |= 1 << space
    return bins, num_bins
