"""The one loop that writes: prompts go in together, and each new token comes out as it is chosen.

The rows of a batch may have prompts of different lengths. A row that has ended leaves the batch, and the
others go on without it. What a row gets does not depend on the others beyond rounding.

A model sees at most context_length (L) tokens. Of a longer prompt the last L are read. When a row has read
L, its last L // 2 are read again from a fresh state. So after the first L tokens a new one sees between
L // 2 and L before it, and a step costs one token but for one pass over half a context every L - L // 2 + 1
steps. What a model has read carries its positions, hence it cannot be shifted instead. A model without
a limit reads on.

Shapes: B rows of a batch, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmexp.models.interface import StreamingModel

Choose = Callable[[Tensor, Sequence[int]], Sequence[int]]
"""From the logits ``[B, V]`` of some prompts' next tokens, and the prompts' numbers, to the tokens."""


def stream(
    model: StreamingModel,
    prompts: Sequence[Sequence[int]],
    *,
    choose: Choose,
    max_new_tokens: int,
    ends: Set[int],
    stops: Callable[[int, Sequence[int]], bool] = lambda _prompt, _written: False,
    batch_size: int,
) -> Iterator[tuple[int, int]]:
    """Yield (number of the prompt, token) for each token that is written, `batch_size` prompts at once.

    Each prompt has at least one token. A row ends after `max_new_tokens`, before a token of `ends`, or after
    the token with which ``stops(prompt, written)`` first holds.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True)
    for begin in range(0, len(order), batch_size):
        batch = _Batch(model, {i: prompts[i] for i in order[begin : begin + batch_size]})
        for _ in range(max_new_tokens):
            going = []
            for row, token in zip(batch.rows, choose(batch.logits, batch.rows), strict=True):
                if token in ends:
                    continue
                batch.written[row].append(token)
                yield row, token
                if not stops(row, batch.written[row]) and len(batch.written[row]) < max_new_tokens:
                    going.append(row)
            if not going:
                break
            batch.go_on(going)


class _Batch:
    """Some rows, what they have written, and what the model has read of them."""

    def __init__(self, model: StreamingModel, prompts: dict[int, Sequence[int]]) -> None:
        self._model = model
        self._limit = model.context_length
        self._prompts = prompts
        self.written: dict[int, list[int]] = {row: [] for row in prompts}
        """New tokens of each row, those that ended included."""
        self.rows = list(prompts)
        """Rows that are going on, in the order of `logits`."""
        texts = [
            list(prompt if self._limit is None else prompt[-self._limit :]) for prompt in prompts.values()
        ]
        self._num_read = {row: len(text) for row, text in zip(self.rows, texts, strict=True)}
        self._state, self.logits = self._read(texts)

    def go_on(self, rows: Sequence[int]) -> None:
        """Read the last token of `rows`, some of those before and in their order; drop the others."""
        full = [row for row in rows if self._num_read[row] == self._limit]
        room = [row for row in rows if self._num_read[row] != self._limit]
        parts = []
        if room:
            if len(room) < len(self.rows):
                place = {row: i for i, row in enumerate(self.rows)}
                self._state = self._state.take([place[row] for row in room])
            last = np.array([[self.written[row][-1]] for row in room])
            logits = torch.as_tensor(self._model.step(last, [1] * len(room), self._state))
            parts.append((self._state, logits))
        if full:
            assert self._limit is not None
            half = self._limit // 2
            parts.append(self._read([[*self._prompts[r], *self.written[r]][-half:] for r in full]))
        for row in room:
            self._num_read[row] += 1
        for row in full:
            self._num_read[row] = self._limit // 2 if self._limit else 0
        self.rows = room + full
        self._state, self.logits = parts[0]
        if len(parts) == 2:
            self._state = type(self._state).join([state for state, _ in parts])
            self.logits = torch.cat([logits for _, logits in parts])

    def _read(self, texts: Sequence[Sequence[int]]) -> tuple[Any, Tensor]:
        state = self._model.begin(len(texts))
        lengths = [len(text) for text in texts]
        ids = np.zeros((len(texts), max(lengths)), dtype=np.int64)  # what pads is read by nobody
        for i, text in enumerate(texts):
            ids[i, : len(text)] = text
        return state, torch.as_tensor(self._model.step(ids, lengths, state))
