"""From a step number to its batch: a pure function of (seed, step), whatever the world size.

Each epoch visits the samples of a split in a fresh order, a Philox permutation keyed by
(seed, epoch); a global batch may cross the border of two epochs. There is no state to save: the
position in the data is the step number.

Where each row of a batch reads on in the stream (`LaneOrder`), row l of B reads samples l S to l S + S - 1 in
order, one a step, with S = floor(N / B) of N samples; the last N - S B samples are not read.

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


class LaneOrder:
    """Which samples each step trains on where each row of a batch, a lane, reads on from step to step."""

    def __init__(self, num_samples: int, global_batch_size: int, seed: int) -> None:
        """Order samples, at least one for each of `global_batch_size` lanes; `seed` is that of what else is
        drawn."""
        assert num_samples >= global_batch_size, "each lane has a sample"
        self.num_samples = num_samples
        self.global_batch_size = global_batch_size
        self.seed = seed
        self.steps_per_epoch = num_samples // global_batch_size
        """Samples of each lane."""

    def sample_indices(self, step: int) -> npt.NDArray[np.int64]:
        """Return the samples ``[global_batch_size]`` of step `step`, which counts from zero."""
        return np.arange(self.global_batch_size) * self.steps_per_epoch + step % self.steps_per_epoch


Order = BatchOrder | LaneOrder
"""Which samples each step trains on."""


def stacked(
    samples: Samples, indices: npt.NDArray[np.int64], eos_token_id: int | None = None
) -> dict[str, Tensor]:
    """Return `input_ids` and `labels` ``[B, T]`` of the samples ``indices [B]``.

    Where `eos_token_id` is given, `document_ids`, int64 ``[B, T]``, are beside them and number the documents
    of each row: as an input, the end-of-text token is the beginning of the document that follows it.
    """
    shape = (len(indices), samples.context_length)
    inputs, labels = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    for i, sample in enumerate(indices):
        inputs[i], labels[i] = samples.read(int(sample))
    batch = {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}
    if eos_token_id is not None:
        batch["document_ids"] = torch.from_numpy((inputs == eos_token_id).cumsum(axis=1))
    return batch
