"""The loss on held-out samples while training goes on.

Samples are spread over the whole split, since its first ones alone would speak for the first source.
They are scored in groups of `SAMPLES_AT_ONCE`, and group g belongs to rank g modulo the world size. So
each group is computed alike at any world size, and the sums, taken in one order over all groups, are the
same number. Scoring draws nothing at random and touches neither weights nor gradients: training ends in
the same bits with and without it.

    validation/loss           nats of all labels / the objective's count of them
    validation/bits_per_byte  nats of the labels that stand for bytes / (ln 2 x their bytes)

The second is one of text only where each token is predicted once from those before it; of another objective
there is the first alone. What noise decides is the same each time: it is that of step 0.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.errors import DataError, Diverged
from lmexp.packing.samples import IGNORED_LABEL, Samples
from lmexp.training.config import PretrainConfig
from lmexp.training.finite import not_finite
from lmexp.training.module import PretrainModule
from lmexp.training.objectives.noise import Noise
from lmexp.training.objectives.objective import Objective

SAMPLES_AT_ONCE = 4
"""Sequences in one forward pass, whatever the micro-batch size."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What validation reads."""

    samples: Samples
    """The samples of the validation split."""

    token_bytes: NDArray[np.int64]
    """Bytes that each id stands for, [V]; special tokens have 0."""


def spread(count: int, samples: Samples) -> NDArray[np.int64]:
    """Return `count` different samples, [count], each from the middle of its equal part of all."""
    return (2 * np.arange(count) + 1) * samples.num_samples // (2 * count)


class Validation:
    """Scores `validation_samples` of the validation split, evenly spread over it."""

    def __init__(self, config: PretrainConfig, held_out: HeldOut, objective: Objective) -> None:
        """Errors: `DataError` where the samples' labels stand for no bytes."""
        self._held_out = held_out
        self._objective = objective
        self._noise = Noise(config.seed, 0)
        self._is_of_text = "next_token" in config.objective.requires
        indices = spread(min(config.validation_samples, held_out.samples.num_samples), held_out.samples)
        self._groups = [indices[i : i + SAMPLES_AT_ONCE] for i in range(0, len(indices), SAMPLES_AT_ONCE)]
        batches = (objective.batch(held_out.samples, group, self._noise) for group in self._groups)
        labels = np.concatenate([batch["labels"].numpy().ravel() for batch in batches])
        labels = labels[labels != IGNORED_LABEL]
        self._num_bytes = int(held_out.token_bytes[labels].sum())
        self._count = next(iter(objective.counts(held_out.samples, indices, self._noise).values()))
        if not self._num_bytes:
            raise DataError(
                f"the {len(indices)} samples of the validation split that validation reads hold no text; "
                f"raise validation_samples (now {config.validation_samples}) or give more text."
            )

    def __call__(self, module: PretrainModule) -> dict[str, float]:
        """Return the metrics of the module's docstring; all ranks call it at once, and wait.

        Errors: `Diverged` if the loss is not finite.
        """
        rank, world_size = module.trainer.global_rank, module.trainer.world_size
        sums = torch.zeros(len(self._groups), 2, dtype=torch.float64, device=module.device)
        was_training = module.training
        module.eval()
        try:
            with torch.no_grad(), module.trainer.precision_plugin.val_step_context():
                for group in range(rank, len(self._groups), world_size):
                    sums[group] = self._score(module, self._groups[group])
        finally:
            module.train(was_training)
        # Every other rank has zeros where this one has sums, hence adding them up rounds nothing.
        sums = module.trainer.strategy.reduce(sums, reduce_op="sum")
        nll_sum, text_nll_sum = sums.sum(dim=0).tolist()
        if not math.isfinite(nll_sum):
            step = module.trainer.global_step
            raise Diverged(not_finite(module.config, f"the validation loss became {nll_sum} at step {step}"))
        found = {"validation/loss": nll_sum / self._count}
        if self._is_of_text:
            found["validation/bits_per_byte"] = text_nll_sum / math.log(2) / self._num_bytes
        return found

    def _score(self, module: PretrainModule, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return the nats of all labels of some samples, and of those that stand for bytes, [2]."""
        batch = self._objective.batch(self._held_out.samples, indices, self._noise)
        labels = batch["labels"].flatten()
        counted = labels != IGNORED_LABEL
        text = counted & torch.from_numpy(self._held_out.token_bytes)[labels.clamp(min=0)].bool()
        on_device = {name: part.to(module.device) for name, part in batch.items()}
        nll = self._objective.token_nats(module.model, on_device).double()
        return torch.stack((nll.sum(), (nll * text.to(module.device)).sum()))
