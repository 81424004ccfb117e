"""What an n-gram model remembers of each row: the last order - 1 tokens, and with a cache its document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.models.families.ngram.counts import check_ids
from lmexp.models.families.ngram.grams import Ints

NOTHING = -1
"""Stands in a context where there is no token."""


@dataclass(kw_only=True, eq=False)
class State:
    """The rows of a batch, B of them, each at its own place of its own text."""

    tokens: Ints
    """Last tokens that each row read, right-aligned, -1 where it read fewer, [B, order - 1]."""

    has_read: NDArray[np.bool_]
    """Whether a row read any token, [B]."""

    documents: list[Ints] | None = None
    """For a cache, all that each row has read from its last `bos` on, or behind -1; None without a cache."""

    bos_token_id: int | None = None
    """Where a document begins; None without a cache."""

    @classmethod
    def new(cls, num_rows: int, order: int, *, bos_token_id: int | None = None) -> Self:
        """Return `num_rows` rows that have read nothing; with `bos_token_id` they keep their documents."""
        return cls(
            tokens=np.full((num_rows, order - 1), NOTHING),
            has_read=np.zeros(num_rows, dtype=bool),
            documents=None if bos_token_id is None else [np.array([NOTHING])] * num_rows,
            bos_token_id=bos_token_id,
        )

    def read(self, ids: Ints, lengths: Ints, vocab_size: int) -> None:
        """Move on: row i reads the first `lengths[i]` of `ids[i]`, [B, T].

        Errors: `DataError`, with the state left as it was, for a number of rows that is not the state's, for
        a length outside [0, T], for an id outside the vocabulary, and for a row that still has read nothing,
        from which no next token follows.
        """
        if ids.ndim != 2 or not len(ids) == len(lengths) == len(self.has_read):
            raise DataError(
                f"A step needs ids [B, T] and lengths [B] of the {len(self.has_read)} rows of its state, was "
                f"given {ids.shape} and {lengths.shape}."
            )
        if ((lengths < 0) | (lengths > ids.shape[1])).any():
            raise DataError(
                f"Each row's length must lie in [0, {ids.shape[1]}], the width of its ids; lengths were "
                f"{lengths.min()} to {lengths.max()}."
            )
        has_read = self.has_read | (lengths > 0)
        if not has_read.all():
            raise DataError(
                f"Row {int(np.argmin(has_read))} is asked for its next token before it read any; begin an "
                f"empty text with the token that begins documents."
            )
        check_ids(ids[np.arange(ids.shape[1]) < lengths[:, None]], vocab_size)
        every = np.concatenate((self.tokens, ids), axis=1)
        last = lengths[:, None] + np.arange(self.tokens.shape[1])
        self.tokens, self.has_read = np.take_along_axis(every, last, axis=1), has_read
        if self.documents is not None:
            rows = zip(self.documents, ids, lengths, strict=True)
            self.documents = [self._document(known, row[:length]) for known, row, length in rows]

    def _document(self, known: Ints, new: Ints) -> Ints:
        """Return a row's document when it has read on."""
        every = np.concatenate((known, new))
        begins = np.flatnonzero(every == self.bos_token_id)
        return every[begins[-1] :] if len(begins) else every

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Self:
        """Return a state of its own of `rows`, indices in any order, some of them twice or not at all."""
        which = np.asarray(rows, dtype=np.int64)
        return type(self)(
            tokens=self.tokens[which],
            has_read=self.has_read[which],
            documents=None if self.documents is None else [self.documents[i] for i in which],
            bos_token_id=self.bos_token_id,
        )

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Return a state of its own of the rows of `states`, one after the other; all of one model."""
        return cls(
            tokens=np.concatenate([state.tokens for state in states]),
            has_read=np.concatenate([state.has_read for state in states]),
            documents=None if states[0].documents is None else [d for s in states for d in s.documents or ()],
            bos_token_id=states[0].bos_token_id,
        )
