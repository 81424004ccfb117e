"""Counting all n-grams of up to a given order, in bounded memory and without a loop over tokens.

A document is `bos t1 ... tk`, and the `bos` of the next one, or the end of all, ends it: what is counted is
`bos t1 ... tk bos`. The first `bos` is context alone; the last one is predicted, as a model that generates
must be able to end. No n-gram has a `bos` between its first and its last token, hence none reaches over the
border of a document, and documents may come one by one or many in one array.

The text is read in chunks of 2^20 tokens. In a chunk, the id of the n-gram that ends at token i is the
rank of (id of the (n-1)-gram that ends at i - 1, token i) among all different pairs: one sort an order.
Chunks overlap by order - 1 tokens, which are context and are not counted again. Four chunks' levels are
joined to one, four of those to one, and so on, so that each n-gram is moved log4(chunks) times.

At the peak, a fit takes some 100 MB for a chunk and 50 to 60 bytes for each different n-gram of all orders,
which is what grows; the text itself is not kept. 10 million words of English (V = 50,000) have 5.4 million at
order 3, and took 2.7 CPU seconds and 0.4 GB; at order 5 they have 16.7 million, and took 8.6 and 0.9 GB; 10
million bytes have 0.4 million at order 5, and took 2.5 and 0.2 GB. 19.4 million words drawn from a 4-gram
have 49 million at order 5, and took 40.7 with their smoothing, and 3.3 GB (`benchmarks/ngram.py`); sorted on
disk, 29.4 and 2.9 GB, of which the system can take back what is mapped. A text of
more than CHUNKS_IN_MEMORY chunks is sorted on disk, where there is a folder for it (`runs`).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.models.families.ngram.grams import Ints, Level, is_first, joined
from lmexp.models.families.ngram.runs import Runs

CHUNK_TOKENS = 2**20
"""Most tokens that are sorted at once."""

CHUNKS_IN_MEMORY = 8
"""Chunks after which a text is sorted on disk, which costs no more CPU seconds, and less memory."""

MOST_IDS = 2**21
"""Largest vocabulary; see `_ranked`."""

_PLACE_BITS = 21
_FAN_IN = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """How often each n-gram occurs."""

    tokens: Ints
    """How often each token of the vocabulary was predicted, [V]; the `bos` that begins a document was not."""

    levels: list[Level]
    """The n-grams of order 2, 3 and so on."""


def count(
    documents: Iterable[NDArray[np.integer]],
    *,
    order: int,
    vocab_size: int,
    bos_token_id: int,
    chunk_tokens: int = CHUNK_TOKENS,
    folder: Path | None = None,
    most_chunks: int = CHUNKS_IN_MEMORY,
) -> Counts:
    """Return the counts of all n-grams of up to `order` tokens of `documents`, read once.

    Each array is one document or several, `bos t1 ... tk bos t1 ...`, without the `bos` that ends the last;
    ids in [0, vocab_size). `chunk_tokens`, at most CHUNK_TOKENS, changes memory and time, never the result.
    A text of more than `most_chunks` is sorted on disk, in the empty `folder`, or in memory without one.

    Errors: `DataError` if there is no document, if an array does not begin with `bos_token_id`, for an id
    outside the vocabulary, and for a vocabulary of more than MOST_IDS.
    """
    assert 0 < chunk_tokens <= CHUNK_TOKENS
    if vocab_size > MOST_IDS:
        raise DataError(
            f"n-grams are counted over at most {MOST_IDS:,} ids, and the vocabulary has {vocab_size:,}; "
            f"use a smaller tokenizer."
        )
    check_ids(np.array([bos_token_id]), vocab_size)
    parts: list[list[Counts]] = [[]]  # at place i, of _FAN_IN^i chunks each
    chunks = (
        _counted(chunk, num_seen, order, vocab_size, bos_token_id)
        for chunk, num_seen in _chunks(documents, order - 1, vocab_size, bos_token_id, chunk_tokens)
    )
    for counted in chunks if folder is None else itertools.islice(chunks, most_chunks):
        parts[0].append(counted)
        _carry(parts, vocab_size)
    every = [part for same in parts for part in same]
    if not every:
        raise DataError("An n-gram model needs at least one document to count, was given none.")
    more = next(chunks, None)
    if more is None or folder is None:
        return _sum(every, vocab_size)
    return _sum_on_disk(itertools.chain([more], chunks), every, folder, vocab_size)


def reach(ids: Ints, bos_token_id: int) -> Ints:
    """Return how many tokens the longest n-gram has that ends at each of `ids`, [N].

    It begins at the last `bos` before, or with the first of `ids` where there is none.
    """
    places = np.arange(len(ids))
    last_bos = np.maximum.accumulate(np.where(ids == bos_token_id, places, 0))
    begin = np.concatenate(([0], last_bos[:-1]))
    return np.asarray(places - begin + 1)


def _chunks(
    documents: Iterable[NDArray[np.integer]], overlap: int, vocab_size: int, bos_token_id: int, size: int
) -> Iterator[tuple[Ints, int]]:
    """Yield the text in chunks, each with the number of tokens at its head that are context alone."""
    waiting: list[Ints] = []
    num_waiting, num_seen = 0, 1  # the bos that begins the text is not predicted
    for piece in _pieces(documents, bos_token_id, size):
        waiting.append(piece)
        num_waiting += len(piece)
        while num_waiting >= size + overlap:
            chunk = np.concatenate(waiting)
            check_ids(chunk, vocab_size)
            yield chunk[: size + overlap], num_seen
            waiting = [chunk[size:]]
            num_waiting, num_seen = len(waiting[0]), overlap
    if num_waiting > num_seen:
        chunk = np.concatenate(waiting)
        check_ids(chunk, vocab_size)
        yield chunk, num_seen


def _pieces(documents: Iterable[NDArray[np.integer]], bos_token_id: int, size: int) -> Iterator[Ints]:
    """Yield the text, and the `bos` that ends it, in pieces of at most `size` tokens."""
    document: NDArray[np.integer] | None = None
    for document in documents:
        if not len(document) or document[0] != bos_token_id:
            raise DataError(
                f"A document must begin with the token {bos_token_id}, which begins and ends documents; one "
                f"{f'begins with {document[0]}' if len(document) else 'has no token'}."
            )
        for begin in range(0, len(document), size):
            yield np.asarray(document[begin : begin + size], dtype=np.int64)
    if document is not None:
        yield np.array([bos_token_id])


def _counted(ids: Ints, num_seen: int, order: int, vocab_size: int, bos_token_id: int) -> Counts:
    """Return the counts of one chunk, of n-grams that end at its first `num_seen` tokens 0."""
    longest = reach(ids, bos_token_id)
    levels: list[Level] = []
    below = ids  # index of the n-gram, one token shorter, that ends at each token
    for n in range(2, order + 1):
        ends = np.flatnonzero(longest >= n)
        keys, indices = _ranked(below[ends - 1] * vocab_size + ids[ends])
        counted = indices[np.searchsorted(ends, num_seen) :]
        suffixes = np.empty(len(keys), dtype=np.int64)
        suffixes[indices] = below[ends]
        counts = np.bincount(counted, minlength=len(keys))
        levels.append(Level(keys=keys, counts=counts, suffixes=suffixes))
        below = np.full(len(ids), -1, dtype=np.int64)
        below[ends] = indices
    return Counts(tokens=np.bincount(ids[num_seen:], minlength=vocab_size), levels=levels)


def _ranked(pairs: Ints) -> tuple[Ints, Ints]:
    """Return the different values of `pairs`, ascending, and the rank of each of `pairs` among them.

    Values and their places are sorted as one integer, in a third of the time of an argsort. It fits into
    63 bits: a value is below 2^21 n-grams x 2^21 ids, and a place below 2^21.
    """
    both = np.sort(pairs << _PLACE_BITS | np.arange(len(pairs)))
    values = both >> _PLACE_BITS
    first = is_first(values)
    ranks = np.empty(len(pairs), dtype=np.int64)
    ranks[both & (2**_PLACE_BITS - 1)] = np.cumsum(first) - 1
    return values[first], ranks


def _carry(parts: list[list[Counts]], vocab_size: int) -> None:
    """Replace _FAN_IN parts of one size by their sum, which is one part of the next size, and so on."""
    for place, same in enumerate(parts):
        if len(same) < _FAN_IN:
            return
        if place + 1 == len(parts):
            parts.append([])
        parts[place + 1].append(_sum(same, vocab_size))
        same.clear()


def _sum(parts: Sequence[Counts], vocab_size: int) -> Counts:
    if len(parts) == 1:
        return parts[0]
    tokens = np.sum([part.tokens for part in parts], axis=0)
    return Counts(tokens=tokens, levels=joined([part.levels for part in parts], vocab_size))


def _sum_on_disk(chunks: Iterable[Counts], before: list[Counts], folder: Path, vocab_size: int) -> Counts:
    """Return the sum of `before`, what memory holds so far, and of the chunks that are still to come."""
    runs, tokens = Runs(folder, vocab_size), np.zeros(vocab_size, dtype=np.int64)
    while before:
        part = before.pop()
        tokens += part.tokens
        runs.add(part.levels)
    for part in chunks:
        tokens += part.tokens
        runs.add(part.levels)
    return Counts(tokens=tokens, levels=runs.joined())


def check_ids(ids: NDArray[np.integer], vocab_size: int, lowest: int = 0) -> None:
    """Raise `DataError` unless all `ids` lie in [lowest, vocab_size)."""
    if ids.size and not (ids.min() >= lowest and ids.max() < vocab_size):
        raise DataError(
            f"Token ids must lie in [{lowest}, {vocab_size}), were {ids.min()} to {ids.max()}; "
            f"were they encoded by another tokenizer?"
        )
