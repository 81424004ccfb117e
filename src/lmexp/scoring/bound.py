"""A bound of the nats of texts, of a model that predicts hidden tokens from all others.

Let n tokens of a continuation be told one after the other, in any order: with the network's probabilities of
a hidden token, each order gives the text a probability, and all orders, each as likely, give it their mean.
Its logarithm is at least the mean of the logarithms (Jensen), so

    nats of the text  <=  mean over orders of  sum_i -ln p(x_i | context, what was told before)
                       =  mean over k in 1..n and k places of  n / k  sum over these -ln p(x_i | the rest)

which is the evidence bound of absorbing-state diffusion too (`training.objectives.masked_diffusion`). It is
estimated by the mean over draws of (k, places), never by the least of them: draw j of K has
k = 1 + floor(n v), v = (u + j) / K, with one u for all, so that the rates are spread evenly. The variance of
the mean is taken from the spread of the draws as if they were independent, which is too much rather than too
little.

What is drawn is a function of the tokens alone: scores depend on no other pair, order or batch.

A sequence is context, or the token that begins a document, and continuation, together at most what the model
sees: so a window holds one token less than that, and what is longer is scored in pieces.

Shapes: B rows, T time, N hidden tokens of a batch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.models.interface import Pair
from lmexp.models.network import MaskedNetwork
from lmexp.scoring.batches import Shape, batches, token_budget
from lmexp.scoring.estimate import Estimate
from lmexp.scoring.network import log_probs
from lmexp.scoring.pairs import PairScorer

_PAIRS_AT_ONCE = 64
"""Pairs whose draws are held together, so that they can be sorted by length."""


@dataclass(frozen=True)
class _Draw:
    """A sequence with some tokens hidden."""

    owner: int
    """Number of its piece."""
    ids: NDArray[np.int64]
    """All tokens, [T]."""
    places: NDArray[np.int64]
    """Where they are hidden, [k]."""
    weight: float
    """What each hidden token stands for, n / k."""


class BoundScorer(PairScorer):
    """Bounds the nats of continuations with a network that predicts hidden tokens."""

    def __init__(
        self,
        model: MaskedNetwork,
        *,
        context_length: int,
        batch_size: int | None,
        bos_token_id: int,
        draws: int,
    ) -> None:
        """`batch_size` is the most sequences in a batch; None leaves that to the budget of tokens."""
        self.context_length: int | None = max(1, context_length - 1)
        """Tokens of a window; one place is that of the token before them."""
        self._limit = context_length
        self._model = model.eval()
        self._batch_size = batch_size
        self._bos = bos_token_id
        self._num_draws = draws
        self._tokens = token_budget(model.device.type)

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the part that each token of a continuation has in minus the bound, in nats."""
        return [estimate.log_probs for estimate in self.estimates(pairs)]

    def estimates(self, pairs: Sequence[Pair]) -> list[Estimate]:
        """Return the bound of each continuation with its variance over draws."""
        found: list[Estimate] = []
        for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
            found += self._estimates(pairs[begin : begin + _PAIRS_AT_ONCE])
        return found

    def _estimates(self, pairs: Sequence[Pair]) -> list[Estimate]:
        pieces = [list(self._pieces(context, continuation)) for context, continuation in pairs]
        parts = iter(self._bounds([piece for own in pieces for piece in own]))
        joined = []
        for own in pieces:
            of_pair = list(islice(parts, len(own)))
            scores = [part.log_probs for part in of_pair]
            joined.append(
                Estimate(
                    np.concatenate([np.zeros(0), *scores]), float(sum(part.variance for part in of_pair))
                )
            )
        return joined

    def _pieces(self, context: Sequence[int], continuation: Sequence[int]) -> Iterator[Pair]:
        """Cut a continuation that does not fit; each piece sees what stands before it, as far as it can."""
        before = list(context) or [self._bos]
        room, begin = self._limit - 1, 0
        while begin < len(continuation):
            end = begin + (room if begin == 0 else max(1, self._limit // 2))
            piece = list(continuation[begin:end])
            yield [*before, *continuation[:begin]][-(self._limit - len(piece)) :], piece
            begin = end

    def _bounds(self, pieces: Sequence[Pair]) -> list[Estimate]:
        draws = [draw for owner, piece in enumerate(pieces) for draw in self._draws(owner, *piece)]
        sums = [np.zeros(len(continuation)) for _, continuation in pieces]
        totals: list[list[float]] = [[] for _ in pieces]
        for chosen in batches([(len(draw.ids),) for draw in draws], self._fits):
            batch = [draws[i] for i in chosen]
            for draw, scores in zip(batch, self._score_batch(batch), strict=True):
                own = sums[draw.owner]
                own[draw.places - (len(draw.ids) - len(own))] += draw.weight * scores
                totals[draw.owner].append(float(draw.weight * scores.sum()))
        variances = [np.var(each, ddof=1) / len(each) if len(each) > 1 else 0.0 for each in totals]
        return [
            Estimate(own / self._num_draws, float(variance))
            for own, variance in zip(sums, variances, strict=True)
        ]

    def _draws(self, owner: int, context: Sequence[int], continuation: Sequence[int]) -> Iterator[_Draw]:
        ids = np.asarray([*context, *continuation], dtype=np.int64)
        content = hashlib.blake2b(ids.tobytes(), digest_size=16, salt=str(len(context)).encode()).digest()
        generator = np.random.Generator(np.random.Philox(key=np.frombuffer(content, dtype=np.uint64)))
        n, first = len(continuation), generator.random()
        for j in range(self._num_draws):
            number = 1 + int(n * (first + j) / self._num_draws)
            places = len(context) + np.sort(generator.permutation(n)[:number])
            yield _Draw(owner, ids, places, n / number)

    def _fits(self, rows: int, shape: Shape) -> bool:
        return rows <= (self._batch_size or rows) and rows * sum(shape) <= self._tokens

    @torch.inference_mode()
    def _score_batch(self, batch: Sequence[_Draw]) -> list[NDArray[np.float64]]:
        """Return ln p of the hidden tokens of each draw."""
        longest = max(len(draw.ids) for draw in batch)
        ids = np.full((len(batch), longest), self._bos, dtype=np.int64)
        padding = np.zeros((len(batch), longest), dtype=np.int64)
        for i, draw in enumerate(batch):
            ids[i, : len(draw.ids)] = draw.ids
            ids[i, draw.places] = self._model.mask_token_id
            padding[i, len(draw.ids) :] = 1
        device = self._model.device
        # What fills a row is a document of its own, which no token of the text sees.
        documents = torch.from_numpy(padding).to(device) if padding.any() else None
        hidden = self._model.hidden_states(torch.from_numpy(ids).to(device), documents=documents)
        rows = np.repeat(np.arange(len(batch)), [len(draw.places) for draw in batch])
        columns = np.concatenate([draw.places for draw in batch])
        targets = np.concatenate([draw.ids[draw.places] for draw in batch])
        row, column, target = (torch.from_numpy(part).to(device) for part in (rows, columns, targets))
        scores = log_probs(self._model, hidden[row, column], target)
        return np.split(scores, np.cumsum([len(draw.places) for draw in batch])[:-1])
