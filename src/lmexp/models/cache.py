"""The keys and values of the tokens that a model has read, so that it reads each one once.

Keys are kept after RoPE, at the positions that they were read at: tokens can be added at the end, and
nothing can be taken from the beginning. A cache belongs to one model and one batch.

Shapes: B batch, T new times, S times in all, G key/value heads, K head_dim.
"""

import torch
from torch import Tensor


class LayerCache:
    """Keys and values ``[B, S, G, K]`` of one layer."""

    def __init__(self) -> None:
        self._held: tuple[Tensor, Tensor] | None = None

    @property
    def length(self) -> int:
        """Number of times held, S."""
        return 0 if self._held is None else self._held[0].shape[1]

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add ``k``, ``v`` ``[B, T, G, K]`` and return all that is held, the new ones last."""
        if self._held is not None:
            k, v = torch.cat((self._held[0], k), dim=1), torch.cat((self._held[1], v), dim=1)
        self._held = (k, v)
        return k, v


class KVCache:
    """One `LayerCache` for each layer of a model."""

    def __init__(self, num_layers: int) -> None:
        self.layers = [LayerCache() for _ in range(num_layers)]

    @property
    def length(self) -> int:
        """Number of tokens read."""
        return self.layers[0].length
