"""Which documents share a row: best-fit packing, and rows that begin with a document.

A row has room for T inputs. The unit of packing is a document with the end-of-text token before it:
in the stream that is one range of inputs, each of which predicts the token after it, the last one
the end of text. Rows are therefore lists of ranges of the stream, and the stream stays as it is.

- `best_fit`: best-fit-decreasing bin packing (Ding et al., arXiv 2404.10830). A unit longer than a
  row is cut: whole rows, then a rest that is packed like a document. The rest of a cut document
  takes one input more than it has tokens, for the separator before it where it is not the first of
  its row. Every token of the stream is predicted exactly once.
- `bos_aligned`: every range begins a document and no row has padding. A row takes the longest
  unread document that fits; when none fits, the shortest unread one is cropped to what is left of
  the row, and the rest of it is dropped.

Both work on how many documents have each length, so that equal choices are made at once: n
documents cost O(n log n) for sorting and little besides.
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
    """[S, 3], sorted by row: row, first input as a position in the stream (-1 is the end-of-text
    token before the first document), number of inputs."""

    num_rows: int

    cut_documents: int
    """Documents that do not lie whole in one row."""


def best_fit(starts: Array, sizes: Array, context_length: int) -> Rows:
    """Pack every document, [N] positions of first tokens and [N] sizes with one end-of-text each."""
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
    begins = np.concatenate([piece == 0, whole[packed] == 0])  # the rest of a document comes first,
    order = np.lexsort((first, begins, row))  # where it needs no separator
    segments = np.stack([row, first, length], axis=1)[order]
    return Rows(segments, num_whole + num_bins, int((sizes > context_length).sum()))


def bos_aligned(starts: Array, sizes: Array, context_length: int) -> Rows:
    """Fill rows with beginnings of documents, [N] positions of first tokens and [N] sizes."""
    longest = context_length + 1  # stands for every longer size: such a document is always cropped
    classes = np.minimum(sizes, longest)
    queue = np.argsort(sizes, kind="stable")
    counts = np.bincount(classes, minlength=longest + 1).tolist()
    heads = (np.cumsum(counts) - counts).tolist()
    bits = sum(1 << size for size, count in enumerate(counts) if count)
    parts: list[Array] = []
    num_rows = 0
    while (pattern := _next_row(counts, bits, context_length)) is not None:
        used = Counter[int]()
        for size, times, _ in pattern:
            used[size] += times
        repeats = min(counts[size] // times for size, times in used.items())
        for size, times, length in pattern:
            documents = queue[heads[size] : heads[size] + times * repeats]
            heads[size] += times * repeats
            rows = np.tile(np.arange(num_rows, num_rows + repeats), times)
            parts.append(np.stack([rows, starts[documents] - 1, np.full(len(rows), length)], axis=1))
        for size, times in used.items():
            counts[size] -= times * repeats
            bits &= ~(0 if counts[size] else 1 << size)
        num_rows += repeats
    segments = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
    segments = segments[np.lexsort((segments[:, 1], segments[:, 0]))]
    whole = int((segments[:, 2] == sizes[np.searchsorted(starts - 1, segments[:, 1])]).sum())
    return Rows(segments, num_rows, len(sizes) - whole)


def _next_row(counts: list[int], bits: int, room: int) -> list[tuple[int, int, int]] | None:
    """Return one row as (size of document, how many, inputs taken of each); None if it cannot be filled.

    Bit s of `bits` says whether there is a document of size s.
    """
    pattern: list[tuple[int, int, int]] = []
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
