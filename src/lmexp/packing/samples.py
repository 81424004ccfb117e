"""The samples of a packed split: how many there are, and the inputs and labels of each.

- `StreamSamples` cuts the stream into samples of T tokens: sample i reads tokens [i T, i T + T + 1),
  predicts the last T of them from the first T, and overlaps its successor by one token, so every
  token but the first is predicted once an epoch.
- `RowSamples` joins the ranges of the stream that `rows` chose. Where a range goes on inside a
  document and is not the first of its row, an end-of-text token whose label is ignored separates it
  from what stands before it; what is left of a row is filled with the same. So a row's documents
  are told apart by end-of-text tokens alone.

Shapes: T context_length.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.packing.config import no_sample

IGNORED_LABEL = -100
"""Label of an input whose prediction does not count."""


class TokenReader(Protocol):
    """A stream of token ids that can be read anywhere."""

    @property
    def num_tokens(self) -> int:
        """Length of the stream, in tokens."""

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Return tokens [start, start + length) as int64."""


class Samples(Protocol):
    """Samples of equal length, numbered from 0."""

    @property
    def num_samples(self) -> int:
        """How many there are, at least one."""

    @property
    def context_length(self) -> int:
        """Inputs of each."""

    def read(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return inputs [T] and labels [T] of one sample."""

    def num_valid(self, indices: NDArray[np.int64]) -> int:
        """Return how many labels of the samples `indices` count."""


class StreamSamples:
    """Consecutive cuts of a stream."""

    def __init__(self, tokens: TokenReader, context_length: int, split: str = "") -> None:
        """Cut the stream of `split`. Errors: `DataError` if there are too few tokens for one sample."""
        self.num_samples = (tokens.num_tokens - 1) // context_length
        if self.num_samples < 1:
            raise DataError(no_sample(split, f"{tokens.num_tokens:,} tokens", context_length))
        self.context_length = context_length
        self._tokens = tokens

    def read(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return inputs [T] and labels [T] of one sample."""
        window = self._tokens.read(index * self.context_length, self.context_length + 1)
        return window[:-1], window[1:]

    def num_valid(self, indices: NDArray[np.int64]) -> int:
        """Return how many labels of the samples `indices` count: all."""
        return len(indices) * self.context_length


class RowSamples:
    """Rows of ranges of a stream."""

    def __init__(
        self,
        tokens: TokenReader,
        segments: NDArray[np.int64],
        rows: NDArray[np.int64],
        *,
        context_length: int,
        eos_token_id: int,
        split: str = "",
    ) -> None:
        """Read `segments`, [S, 3] of `rows.Rows`; `rows` [R, 2] has each row's first segment and labels.

        Errors: `DataError` if there is no row.
        """
        if not len(rows):
            raise DataError(no_sample(split, "less than a row", context_length, rows=True))
        self.num_samples = len(rows)
        self.context_length = context_length
        self._tokens, self._segments, self._rows, self._eos = tokens, segments, rows, eos_token_id

    def read(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return inputs [T] and labels [T] of one row; ignored labels are -100."""
        inputs = np.full(self.context_length, self._eos, dtype=np.int64)
        labels = np.full(self.context_length, IGNORED_LABEL, dtype=np.int64)
        begin = int(self._rows[index, 0])
        end = int(self._rows[index + 1, 0]) if index + 1 < self.num_samples else len(self._segments)
        filled = 0
        for _, first, length in self._segments[begin:end].tolist():
            window = self._window(first, length + 1)
            if filled and window[0] != self._eos:
                filled += 1
            inputs[filled : filled + length] = window[:-1]
            labels[filled : filled + length] = window[1:]
            filled += length
        return inputs, labels

    def num_valid(self, indices: NDArray[np.int64]) -> int:
        """Return how many labels of the rows `indices` count."""
        return int(self._rows[indices, 1].sum())

    def _window(self, first: int, length: int) -> NDArray[np.int64]:
        if first >= 0:
            return self._tokens.read(first, length)
        return np.concatenate([[self._eos], self._tokens.read(0, length - 1)])
