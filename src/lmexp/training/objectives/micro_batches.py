"""The micro-batches of one rank: how the global batch of a step is cut, and what an objective makes of it.

World size and micro-batch size only cut the global batch: rank r of W takes its r-th contiguous
part, and micro-batch j of a rank the j-th part of that.

Shapes: B samples of a micro-batch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.models.network import Masks, Network
from lmexp.packing.batches import Order
from lmexp.packing.samples import Samples
from lmexp.training.objectives.noise import Noise
from lmexp.training.objectives.objective import Objective


class MicroBatches(torch.utils.data.Dataset[dict[str, Any]]):
    """The micro-batches of one rank, numbered from the start of training.

    It is a map-style data set for ``DataLoader(batch_size=None, num_workers=0)``: reading a
    memory map is faster than any worker process could hand tokens over.
    """

    def __init__(
        self,
        samples: Samples,
        order: Order,
        objective: Objective,
        *,
        rank: int,
        world_size: int,
        micro_batch_size: int,
        max_steps: int,
        network: Network | None = None,
    ) -> None:
        """Cut each global batch of `order` into this rank's micro-batches; `network` says what it drops."""
        per_rank = order.global_batch_size // world_size
        assert per_rank * world_size == order.global_batch_size, "the configuration checks divisibility"
        assert per_rank % micro_batch_size == 0, "the configuration checks divisibility"
        self.samples = samples
        self.order = order
        self.objective = objective
        self.network = network
        self.micro_batch_size = micro_batch_size
        self.accumulation = per_rank // micro_batch_size
        self._first = rank * per_rank
        self._length = max_steps * self.accumulation
        self._step = -1  # the last one that was asked for, its samples and their counts
        self._samples: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: Mapping[str, int] = {}

    def __len__(self) -> int:
        """Return the number of micro-batches of all steps."""
        return self._length

    def sample_indices(self, index: int) -> NDArray[np.int64]:
        """Return the samples ``[B]`` of micro-batch `index` of this rank."""
        step, micro = divmod(index, self.accumulation)
        return self._cut(self.order.sample_indices(step), micro)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return micro-batch `index`: the objective's batch, the `counts` of the whole global batch, and the
        `masks` of what the network drops."""
        if not 0 <= index < self._length:
            raise IndexError(index)
        step, micro = divmod(index, self.accumulation)
        noise = Noise(self.order.seed, step)
        if self._step != step:  # once for all micro-batches of a step
            self._samples = self.order.sample_indices(step)
            self._counts = self.objective.counts(self.samples, self._samples, noise)
            self._step = step
        indices = self._cut(self._samples, micro)
        batch = self.objective.batch(self.samples, indices, noise)
        return {**batch, "counts": self._counts, "masks": self._masks(indices, noise)}

    def _cut(self, indices: NDArray[np.int64], micro: int) -> NDArray[np.int64]:
        """Return this rank's part of a step's samples for its micro-batch `micro`."""
        first = self._first + micro * self.micro_batch_size
        return indices[first : first + self.micro_batch_size]

    def _masks(self, indices: NDArray[np.int64], noise: Noise) -> Masks:
        if self.network is None or not self.network.drops:
            return {}
        samples = [noise.masks_of(int(sample)) for sample in indices]
        return self.network.draw_masks(samples, noise.masks(), self.samples.context_length)
