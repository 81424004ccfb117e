"""Log-probabilities of continuations: the one operation that every evaluation here is made of.

A pair is (context, continuation), both token ids. Its score is the natural logarithm of the
probability of each continuation token, given the context and the continuation before it. An empty
context stands for the beginning of a document: the token that begins one takes its place.

A pair of n tokens needs n - 1 inputs, since the last token is only a target; a model of context
length L therefore scores up to L + 1 tokens. Longer contexts lose tokens on their left. A continuation
of more than L tokens is scored in pieces, after the first one of L // 2 tokens each.

Legend: B batch, T time, V vocabulary, N scored positions of a batch.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.models.bigram import Bigram
from lmexp.models.language_model import LanguageModel

Pair = tuple[Sequence[int], Sequence[int]]


class Scorer(Protocol):
    """Anything that gives probabilities to continuations."""

    context_length: int | None
    """Most tokens that are seen before a target; None where there is no limit to speak of."""

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return, for each pair, the log-probability in nats of each continuation token."""
        ...


class ModelScorer:
    """Scores with a causal model whose forward maps ids [B, T] to logits [B, T, V].

    Pairs are sorted by length and padded on the right, where a causal model cannot see. Results
    come in the order given and do not depend on the other pairs of a batch beyond rounding.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        context_length: int,
        batch_size: int,
        bos_token_id: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.context_length: int | None = context_length
        self._limit = context_length
        self._model = model.to(device).eval()
        self._batch_size = batch_size
        self._bos = bos_token_id
        self._device = device

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each continuation."""
        pieces = [list(self._pieces(context, continuation)) for context, continuation in pairs]
        scores = iter(self._score([piece for own in pieces for piece in own]))
        return [np.concatenate([next(scores) for _ in own]) for own in pieces]

    def _pieces(self, context: Sequence[int], continuation: Sequence[int]) -> Iterator[Pair]:
        """Cut a continuation that does not fit; each piece sees what stands before it."""
        yield context, continuation[: self._limit]
        half = max(1, self._limit // 2)
        for begin in range(self._limit, len(continuation), half):
            yield [*context, *continuation[:begin]], continuation[begin : begin + half]

    def _score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        sequences = [self._fit(context, continuation) for context, continuation in pairs]
        results: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
        order = sorted(
            (i for i, (_, continuation) in enumerate(pairs) if len(continuation)),
            key=lambda i: len(sequences[i]),
            reverse=True,
        )
        for begin in range(0, len(order), self._batch_size):
            batch = order[begin : begin + self._batch_size]
            lengths = [len(pairs[i][1]) for i in batch]
            scores = self._score_batch([sequences[i] for i in batch], lengths)
            for i, score in zip(batch, scores, strict=True):
                results[i] = score
        return results

    def _fit(self, context: Sequence[int], continuation: Sequence[int]) -> NDArray[np.int64]:
        room = self._limit + 1 - len(continuation)
        kept = list(context[-room:]) if len(context) else [self._bos]
        return np.asarray([*kept, *continuation], dtype=np.int64)

    @torch.inference_mode()
    def _score_batch(
        self, sequences: list[NDArray[np.int64]], lengths: list[int]
    ) -> list[NDArray[np.float64]]:
        num_inputs = max(len(sequence) for sequence in sequences) - 1
        input_ids = np.full((len(sequences), num_inputs), self._bos, dtype=np.int64)
        rows, columns, targets = [], [], []
        for i, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
            end = len(sequence) - 1
            input_ids[i, :end] = sequence[:-1]
            rows.append(np.full(length, i))
            columns.append(np.arange(end - length, end))
            targets.append(sequence[-length:])
        row, column, target = (
            torch.from_numpy(np.concatenate(part)).to(self._device) for part in (rows, columns, targets)
        )  # [N] each
        scored = self._logits(torch.from_numpy(input_ids).to(self._device), row, column).float()  # [N, V]
        scores = scored.gather(1, target[:, None])[:, 0] - scored.logsumexp(dim=1)  # [N]
        return np.split(scores.double().cpu().numpy(), np.cumsum(lengths)[:-1])

    def _logits(self, input_ids: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Return the logits [N, V] at the positions (row, column) of ``input_ids [B, T]``."""
        if isinstance(self._model, LanguageModel):  # its head runs on the scored positions only
            return self._model.logits(self._model.hidden_states(input_ids)[row, column])
        logits: torch.Tensor = self._model(input_ids)
        return logits[row, column]


class BigramScorer:
    """Scores with a bigram, which sees one token before each target."""

    def __init__(self, bigram: Bigram, bos_token_id: int) -> None:
        self.context_length: int | None = None
        self._bigram = bigram
        self._bos = bos_token_id

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each continuation."""
        if not pairs:
            return []
        following = np.concatenate([np.asarray(continuation, dtype=np.int64) for _, continuation in pairs])
        ends = np.cumsum([len(continuation) for _, continuation in pairs])
        previous = np.roll(following, 1)
        for (context, continuation), end in zip(pairs, ends, strict=True):
            if len(continuation):
                previous[end - len(continuation)] = context[-1] if len(context) else self._bos
        return np.split(self._bigram.log_probs(previous, following), ends[:-1])
