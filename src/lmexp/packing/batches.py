"""From a step number to its batch: a pure function of (seed, step), whatever the world size.

Each epoch visits the samples of a split in a fresh order, a Philox permutation keyed by
(seed, epoch); a global batch may cross the border of two epochs. There is no state to save: the
position in the data is the step number.

World size and micro-batch size only cut the global batch: rank r of W takes its r-th contiguous
part, and micro-batch j of a rank the j-th part of that.

Shapes: B sequences of a micro-batch, T context_length.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lmexp.packing.samples import Samples


class BatchOrder:
    """Which samples each step trains on."""

    def __init__(self, num_samples: int, global_batch_size: int, seed: int) -> None:
        """Order `num_samples` samples, at least one, in steps of `global_batch_size`."""
        assert num_samples > 0, "samples refuse to be none"
        self.num_samples = num_samples
        self.global_batch_size = global_batch_size
        self.seed = seed
        self._permutations: dict[int, npt.NDArray[np.int64]] = {}

    def sample_indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return the samples ``[global_batch_size]`` of step `step`, which counts from zero."""
        first = step * self.global_batch_size
        parts, end = [], first + self.global_batch_size
        while first < end:
            epoch, offset = divmod(first, self.num_samples)
            count = min(end - first, self.num_samples - offset)
            parts.append(self._permutation(epoch)[offset : offset + count])
            first += count
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._permutations:
            if len(self._permutations) == 2:  # the two epochs whose border a batch may cross
                del self._permutations[min(self._permutations)]
            key = np.random.SeedSequence((self.seed, epoch)).generate_state(2, np.uint64)
            order = np.random.Generator(np.random.Philox(key=key)).permutation(self.num_samples)
            self._permutations[epoch] = order.astype(np.int64, copy=False)
        return self._permutations[epoch]


def stacked(
    samples: Samples, indices: npt.NDArray[np.int64], eos_token_id: int | None = None
) -> dict[str, Tensor]:
    """Return `input_ids` and `labels` ``[B, T]`` of the samples ``indices [B]``.

    Where `eos_token_id` is given, `document_ids` are beside them, as `MicroBatches` has them.
    """
    shape = (len(indices), samples.context_length)
    inputs, labels = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    for i, sample in enumerate(indices):
        inputs[i], labels[i] = samples.read(int(sample))
    batch = {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}
    if eos_token_id is not None:
        batch["document_ids"] = torch.from_numpy((inputs == eos_token_id).cumsum(axis=1))
    return batch


class MicroBatches(torch.utils.data.Dataset[dict[str, Tensor | int]]):
    """The micro-batches of one rank, numbered from the start of training.

    It is a map-style data set for ``DataLoader(batch_size=None, num_workers=0)``: reading a
    memory map is faster than any worker process could hand tokens over.
    """

    def __init__(
        self,
        samples: Samples,
        order: BatchOrder,
        *,
        rank: int,
        world_size: int,
        micro_batch_size: int,
        max_steps: int,
        eos_token_id: int | None = None,
    ) -> None:
        """Cut each global batch of `order` into this rank's micro-batches.

        Where `eos_token_id` is given, each micro-batch says which tokens belong to one document.
        """
        per_rank = order.global_batch_size // world_size
        assert per_rank * world_size == order.global_batch_size, "the configuration checks divisibility"
        assert per_rank % micro_batch_size == 0, "the configuration checks divisibility"
        self.samples = samples
        self.order = order
        self.micro_batch_size = micro_batch_size
        self.eos_token_id = eos_token_id
        self.accumulation = per_rank // micro_batch_size
        self._first = rank * per_rank
        self._length = max_steps * self.accumulation

    def __len__(self) -> int:
        """Return the number of micro-batches of all steps."""
        return self._length

    def sample_indices(self, index: int) -> npt.NDArray[np.int64]:
        """Return the samples ``[B]`` of micro-batch `index` of this rank."""
        step, micro = divmod(index, self.accumulation)
        first = self._first + micro * self.micro_batch_size
        return self.order.sample_indices(step)[first : first + self.micro_batch_size]

    def __getitem__(self, index: int) -> dict[str, Tensor | int]:
        """Return micro-batch `index`.

        `input_ids` and `labels` are int64 ``[B, T]``; `num_valid_tokens` counts the labels of the
        step's whole global batch, by which its loss is divided. `document_ids`, int64 ``[B, T]``
        and there if asked for, numbers the documents of each row: as an input, the end-of-text
        token is the beginning of the document that follows it.
        """
        if not 0 <= index < self._length:
            raise IndexError(index)
        step = index // self.accumulation
        batch = stacked(self.samples, self.sample_indices(index), self.eos_token_id)
        return {**batch, "num_valid_tokens": self.samples.num_valid(self.order.sample_indices(step))}
