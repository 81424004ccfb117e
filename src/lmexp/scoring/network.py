"""Scores with a causal network, several sequences in one forward pass.

A pair of n tokens needs n - 1 inputs, since the last token is only a target; a network of context
length L therefore scores up to L + 1 tokens. Longer contexts lose tokens on their left. A continuation
of more than L tokens is scored in pieces, after the first one of L // 2 tokens each. A network without
a limit reads a sequence piece by piece and carries its state.

Pairs are sorted by length, batched by tokens (`lmexp.scoring.batches`) and padded on the right, where a
causal network cannot see. Results come in the order given and do not depend on the other pairs of a batch
beyond rounding.

Logits are made at the scored positions alone, n of them at a time. The network's own, their copy in fp32
and what log-sum-exp makes on its way are each ``[n, V]``, 16 bytes a logit at most, and n is such that they
fit into `LOGITS_BYTES`. So beyond the weights a batch holds the activations of its tokens and
`LOGITS_BYTES`, whatever the vocabulary.

Legend: B batch, T time, D d_model, V vocabulary, N scored positions of a batch.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmexp.models.interface import Pair
from lmexp.models.network import CausalNetwork, Network
from lmexp.scoring.batches import Shape, batches, token_budget
from lmexp.scoring.pairs import PairScorer

LOGITS_BYTES = 2**28
"""Most memory for logits and what is computed from them at once; one position is always allowed."""

PIECE = 512
"""Tokens that a network without a limit reads at once."""


class NetworkScorer(PairScorer):
    """Scores with a network that sees what stands before."""

    def __init__(
        self, model: CausalNetwork, *, context_length: int | None, batch_size: int | None, bos_token_id: int
    ) -> None:
        """`batch_size` is the most sequences in a batch; None leaves that to the budget of tokens."""
        self.context_length = context_length
        self._model = model.eval()
        self._batch_size = batch_size
        self._bos = bos_token_id
        self._device = model.device
        self._tokens = token_budget(self._device.type)

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each continuation."""
        pieces = [list(self._pieces(context, continuation)) for context, continuation in pairs]
        scores = iter(self._score([piece for own in pieces for piece in own]))
        return [np.concatenate([next(scores) for _ in own]) for own in pieces]

    def _pieces(self, context: Sequence[int], continuation: Sequence[int]) -> Iterator[Pair]:
        """Cut a continuation that does not fit; each piece sees what stands before it."""
        limit = self.context_length
        yield context, continuation[:limit]
        if limit is None:
            return
        half = max(1, limit // 2)
        for begin in range(limit, len(continuation), half):
            yield [*context, *continuation[:begin]], continuation[begin : begin + half]

    def _score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        sequences = [self._fit(context, continuation) for context, continuation in pairs]
        results: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
        scored = [i for i, (_, continuation) in enumerate(pairs) if len(continuation)]
        for chosen in batches([(len(sequences[i]) - 1,) for i in scored], self._fits):
            batch = [scored[i] for i in chosen]
            lengths = [len(pairs[i][1]) for i in batch]
            scores = self._score_batch([sequences[i] for i in batch], lengths)
            for i, score in zip(batch, scores, strict=True):
                results[i] = score
        return results

    def _fits(self, rows: int, shape: Shape) -> bool:
        """Return whether so many rows, each with as many tokens as its sizes sum to, are a batch."""
        return rows <= (self._batch_size or rows) and rows * sum(shape) <= self._tokens

    def _fit(self, context: Sequence[int], continuation: Sequence[int]) -> NDArray[np.int64]:
        kept = list(context) if len(context) else [self._bos]
        if self.context_length is not None:
            kept = kept[-(self.context_length + 1 - len(continuation)) :]
        return np.asarray([*kept, *continuation], dtype=np.int64)

    @torch.inference_mode()
    def _score_batch(
        self, sequences: list[NDArray[np.int64]], lengths: list[int]
    ) -> list[NDArray[np.float64]]:
        return self._own_scores(self._read(sequences), sequences, lengths)

    def _read(self, sequences: list[NDArray[np.int64]]) -> Tensor:
        """Return ``[B, T, D]`` after each token of the sequences but their last."""
        num_inputs = max(len(sequence) for sequence in sequences) - 1
        input_ids = np.full((len(sequences), num_inputs), self._bos, dtype=np.int64)
        for i, sequence in enumerate(sequences):
            input_ids[i, : len(sequence) - 1] = sequence[:-1]
        return self._hidden_states(torch.from_numpy(input_ids).to(self._device))

    def _own_scores(
        self, hidden: Tensor, sequences: list[NDArray[np.int64]], lengths: list[int]
    ) -> list[NDArray[np.float64]]:
        """Return ln p of the last tokens, `lengths` of them, of each sequence after ``hidden [B, T, D]``."""
        rows, columns, targets = [], [], []
        for i, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
            end = len(sequence) - 1
            rows.append(np.full(length, i))
            columns.append(np.arange(end - length, end))
            targets.append(sequence[-length:])
        row, column, target = (
            torch.from_numpy(np.concatenate(part)).to(self._device) for part in (rows, columns, targets)
        )  # [N] each
        return np.split(log_probs(self._model, hidden[row, column], target), np.cumsum(lengths)[:-1])

    def _hidden_states(self, input_ids: Tensor) -> Tensor:
        """Return ``[B, T, D]`` of ``input_ids [B, T]``."""
        if self._model.context_length is not None or input_ids.shape[1] <= PIECE:
            return self._model.hidden_states(input_ids)
        state = self._model.new_state(len(input_ids))
        pieces = torch.split(input_ids, PIECE, dim=1)
        return torch.cat([self._model.hidden_states(piece, state=state) for piece in pieces], dim=1)


def log_probs(model: Network, hidden: Tensor, target: Tensor) -> NDArray[np.float64]:
    """Return ln p of the ids ``target [N]`` after a network's ``hidden [N, D]``; see the module's text."""
    at_once = max(1, LOGITS_BYTES // (16 * model.vocab_size))
    # Made before the logits: results that lie between them would keep freed memory in pieces.
    found = torch.empty(len(hidden), device=hidden.device)
    for begin in range(0, len(hidden), at_once):
        part = slice(begin, begin + at_once)
        logits = model.logits(hidden[part]).float()  # [n, V]
        found[part] = logits.gather(1, target[part, None])[:, 0] - logits.logsumexp(dim=1)
        del logits  # before the next are made
    return found.double().cpu().numpy()
