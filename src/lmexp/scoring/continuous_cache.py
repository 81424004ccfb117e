"""A memory of what followed which state, mixed with a network's own probabilities while it scores.

The continuous cache of Grave et al. (arXiv 1612.04426): token x_(i+1) of a document is remembered with the
state h_i that it followed. After h_t, with theta the flatness, lambda the weight, and sums over the last N
times i < t

    p(w) = (1 - lambda) p_network(w) + lambda p_cache(w)
    p_cache(w) = sum_(i: x_(i+1) = w) exp(theta h_t . h_i) / sum_i exp(theta h_t . h_i)

Both are distributions over the vocabulary, and so is their mixture. Before anything is remembered the network
speaks alone. Each document, with the context that is given before it, has a memory of its own, and nothing is
learnt: no weight changes.

Shapes: T times of a document, D width of a state, R times that are scored at once, K times that these
remember.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmexp.models.network import CausalNetwork
from lmexp.scoring.config import ContinuousCacheConfig
from lmexp.scoring.network import NetworkScorer

_AT_ONCE = 256
"""Times that are compared with all that they remember in one product."""


class ContinuousCacheScorer(NetworkScorer):
    """Scores with a network that reads without a limit, and with what it remembers of a document."""

    def __init__(
        self,
        model: CausalNetwork,
        *,
        cache: ContinuousCacheConfig,
        batch_size: int | None,
        bos_token_id: int,
    ) -> None:
        """`batch_size` is that of `NetworkScorer`."""
        assert model.context_length is None, "the pieces of a window would each have a memory of their own"
        assert cache.num_tokens is not None, "nothing is to be remembered"
        super().__init__(model, context_length=None, batch_size=batch_size, bos_token_id=bos_token_id)
        self._num_tokens, self._weight, self._flatness = cache.num_tokens, cache.weight, cache.flatness

    @torch.inference_mode()
    def _score_batch(
        self, sequences: list[NDArray[np.int64]], lengths: list[int]
    ) -> list[NDArray[np.float64]]:
        hidden = self._read(sequences)
        own = self._own_scores(hidden, sequences, lengths)
        return [
            self._mixed(scores, hidden[i, : len(sequence) - 1].float(), sequence)
            for i, (scores, sequence) in enumerate(zip(own, sequences, strict=True))
        ]

    def _mixed(
        self, own: NDArray[np.float64], states: Tensor, sequence: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return ln p of the last tokens of a sequence, of which ``states [T, D]`` stand before each but the
        first, from the network's own."""
        begin = len(states) - len(own)
        followed = torch.from_numpy(sequence[1:]).to(states.device)  # [T]
        remembered = np.concatenate(
            [
                self._remembered(states, followed, start, min(start + _AT_ONCE, len(states)))
                for start in range(begin, len(states), _AT_ONCE)
            ]
        )
        mixed = np.logaddexp(math.log1p(-self._weight) + own, math.log(self._weight) + remembered)
        return np.where(np.arange(begin, len(states)) > 0, mixed, own)

    def _remembered(self, states: Tensor, followed: Tensor, start: int, stop: int) -> NDArray[np.float64]:
        """Return ln p_cache of what followed the times [start, stop); that of time 0 means nothing."""
        first = max(0, start - self._num_tokens)
        likeness = self._flatness * states[start:stop] @ states[first:stop].T  # [R, K]
        time = torch.arange(start, stop, device=states.device)[:, None]
        before = torch.arange(first, stop, device=states.device)
        kept = (before < time) & (before >= time - self._num_tokens)
        likeness = likeness.double().masked_fill(~kept, -math.inf)
        same = followed[start:stop, None] == followed[first:stop]
        total = likeness.logsumexp(dim=1).nan_to_num(neginf=0.0)  # of time 0, which remembers nothing
        found = likeness.masked_fill(~same, -math.inf).logsumexp(dim=1) - total
        return found.cpu().numpy()
