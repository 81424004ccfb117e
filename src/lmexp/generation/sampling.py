"""From logits to a token: temperature, then top-k, then top-p, then one draw.

With l the logits and t the temperature, p = softmax(l / t). Top-k keeps the k most likely tokens. Top-p
renormalises what is left and keeps the smallest set of most likely tokens whose probability reaches
top_p, the token that crosses it included (Holtzman et al., arXiv 1904.09751). What remains is
renormalised. Equal probabilities rank by id, so that exactly k tokens remain of a tie.

All of it is computed in fp64 on the CPU: a seed draws the same tokens wherever the model runs, as
far as its logits agree. Only top-k and top-p sort. Who draws hands in one row at a time, so that what is made
of its logits on the way is ``[1, V]``, whatever the batch. The most likely token alone needs none of this.

Shapes: B batch, V vocabulary.
"""

import torch
from torch import Tensor

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig


def filtered_log_probs(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Return log-probabilities ``[B, V]`` (fp64, CPU) of ``logits [B, V]``; -inf where filtered out.

    A temperature of 0 leaves the most likely token alone, the limit of small temperatures.

    Errors: `DataError` where a row of logits has no finite greatest value.
    """
    exact = logits.detach().to("cpu", torch.float64)
    if config.temperature > 0 and config.top_k is None and config.top_p in (None, 1):
        return ((exact - _greatest(exact)) / config.temperature).log_softmax(dim=-1)
    # Ranked before anything is rounded, so that logits that differ keep their order.
    ranked, order = exact.sort(dim=-1, descending=True, stable=True)
    # or a small temperature would divide to infinity minus infinity
    ranked = ranked - _greatest(ranked)
    if config.temperature == 0:
        ranked[:, 1:] = float("-inf")
    else:
        ranked /= config.temperature
    if config.top_k is not None:
        ranked[:, config.top_k :] = float("-inf")
    if config.top_p is not None and config.top_p < 1:
        probs = ranked.softmax(dim=-1)
        before = probs.cumsum(dim=-1) - probs  # the probability of all that are more likely
        ranked[before >= config.top_p] = float("-inf")
    return torch.empty_like(ranked).scatter_(-1, order, ranked.log_softmax(dim=-1))


def most_likely(logits: Tensor) -> list[int]:
    """Return the most likely id of each row of ``logits [B, V]``, the lowest of equals; nothing is sorted.

    Errors: as those of `filtered_log_probs`.
    """
    return _finite(*logits.max(dim=-1)).tolist()


def sample(log_probs: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token id a row ``[B]`` (int64) from ``log_probs [B, V]``."""
    return torch.multinomial(log_probs.exp(), 1, generator=generator)[:, 0]


def _greatest(logits: Tensor) -> Tensor:
    """Return the greatest of each row ``[B, 1]``; a NaN is greater than all."""
    values, _ = logits.max(dim=-1, keepdim=True)
    return _finite(values, values)


def _finite(greatest: Tensor, result: Tensor) -> Tensor:
    """Return `result` where the `greatest` of all rows are finite."""
    if not greatest.isfinite().all():
        raise DataError(
            "the model gives no probabilities (its logits are not finite): its training diverged, or its "
            "weights are damaged; see lmexp verify, or train with a smaller optimizer.lr."
        )
    return result
