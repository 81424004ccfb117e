"""What a network is trained to do: how samples become batches, and batches a loss.

A step's loss is a sum of terms. Each is summed over the global batch and divided by a count that is known
before any forward pass, so that it is the same however the batch is cut.

Shapes: B samples of a micro-batch, T tokens of each.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lmexp.errors import StageError
from lmexp.models.network import Network
from lmexp.packing.samples import Samples
from lmexp.training.objectives.noise import Noise

Batch = Mapping[str, Any]
"""What a forward pass reads, by name; tensors have B rows."""


class Objective(Protocol):
    """What a network is trained to do."""

    def batch(self, samples: Samples, indices: NDArray[np.int64], noise: Noise) -> Batch:
        """Return the batch of the samples ``indices [B]``, with what noise decides about them."""
        ...

    def counts(self, samples: Samples, indices: NDArray[np.int64], noise: Noise) -> Mapping[str, int]:
        """Return, for each term, what its sum over the samples `indices` is divided by.

        The first term is that of the tokens, whose sum is that of `token_nats`.
        """
        ...

    def loss(self, network: Network, batch: Batch) -> Mapping[str, Tensor]:
        """Return the sum of each term over a batch, a scalar tensor, in nats."""
        ...

    def token_nats(self, network: Network, batch: Batch) -> Tensor:
        """Return the nats of each token that ``labels [B, T]`` ask for, ``[B T]``; 0 where one is ignored."""
        ...


def check_terms(sums: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
    """Raise `StageError` where an objective's `loss` and `counts` speak of other terms, or a sum is none."""
    if sums.keys() != counts.keys():
        raise StageError(
            f"the objective's loss has the terms {', '.join(sums) or 'none'} and its counts have "
            f"{', '.join(counts) or 'none'}; give each term its sum and its count, by one name."
        )
    for name, part in sums.items():
        if part.ndim:
            raise StageError(
                f"the objective's loss[{name!r}] must be a scalar, the sum over the micro-batch, and has the "
                f"shape {list(part.shape)}."
            )
