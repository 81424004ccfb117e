"""The Lightning module: a network, its objective, its optimizer and its learning rate.

The gradient of a step is that of the loss of the *global* batch, however that batch is cut. Each term
of the loss is a sum over a count. Lightning divides a micro-batch's loss by the accumulation and DDP
averages gradients over ranks, so a micro-batch returns sum * world_size * accumulation / count of each.

Nothing here waits for the device: losses and gradient norms stay tensors until someone asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lmexp.models.network import Network
from lmexp.training.config import PretrainConfig
from lmexp.training.objectives.carry import Carry
from lmexp.training.objectives.objective import Objective, check_terms
from lmexp.training.optimization.optimizers import build_optimizer
from lmexp.training.optimization.schedules import lr_ratio


@dataclass
class LastStep:
    """What is known of the step that is being taken, or was taken last."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    """Of each term, this rank's part of its sum over the global batch, a scalar tensor."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Of each term, what its sum over the whole global batch is divided by."""

    grad_norm: Tensor | None = None
    """Global norm of the gradients before clipping, a scalar tensor."""

    gradients_finite: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.bool))
    """Whether all gradients of this process's steps so far were finite, a scalar tensor."""

    lr: float = 0.0
    """Learning rate of AdamW's parameters."""


class PretrainModule(pl.LightningModule):
    """A network that is trained to do what its objective says."""

    def __init__(
        self, config: PretrainConfig, model: Network, objective: Objective, carry: Carry | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.objective = objective
        self.carry = carry
        """What rows hand on from step to step, if they do."""
        self.last = LastStep()
        """What is known of the last step."""
        self._accumulation = config.accumulation
        self._scale = config.world_size * config.accumulation
        self._clipped = list(model.parameters())

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the micro-batch's loss, scaled as the module's docstring says."""
        micro = batch_idx % self._accumulation
        if self.carry is not None:
            batch = {**batch, "state": self.carry.before(self.global_step, micro)}
        with self.model.dropping(batch["masks"]):
            sums = self.objective.loss(self.model, batch)
        if self.last.grad_norm is None:
            check_terms(sums, batch["counts"])
        if self.carry is not None:
            self.carry.keep(micro, batch["state"])
        parts = {name: part.detach() for name, part in sums.items()}
        if micro:
            parts = {name: self.last.sums[name] + part for name, part in parts.items()}
        self.last.sums, self.last.counts = parts, batch["counts"]
        first, *others = (part * (self._scale / self.last.counts[name]) for name, part in sums.items())
        return sum(others, first)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the single optimizer; its learning rate is set before each step."""
        return build_optimizer(self.config.optimizer, self.model)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the step that is about to be taken."""
        ratio = lr_ratio(self.config.schedule, self.global_step, self.config.trainer.max_steps)
        self.last.lr = self.config.optimizer.lr * ratio
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * ratio

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip by the global norm and keep the norm.

        Lightning's own clipping refuses fused AdamW with bf16-mixed (Lightning issue 21435).
        """
        limit = gradient_clip_val if gradient_clip_val is not None else float("inf")
        norm = self.last.grad_norm = torch.nn.utils.clip_grad_norm_(self._clipped, limit)
        self.last.gradients_finite = self.last.gradients_finite.to(norm.device) & norm.isfinite()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rows hand on, of all ranks."""
        if self.carry is not None:
            gather = self.trainer.strategy.all_gather
            checkpoint["carry"] = self.carry.gathered(gather, self.config.world_size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over what rows hand on, and restate Lightning's micro-batch counters for this accumulation.

        A checkpoint is written in `on_train_batch_end`, when all but `completed` have counted the
        last micro-batch. Its position is its number of optimizer steps; the number of micro-batches
        that those took depends on the world size.
        """
        if self.carry is not None:
            self.carry.restore(checkpoint["carry"], self.trainer.global_rank)
        batches = checkpoint["global_step"] * self.config.accumulation
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts.update(ready=batches, started=batches, processed=batches, completed=batches - 1)

    def mean_loss(self) -> float:
        """Return the last step's loss over the whole global batch, in nats per token.

        Every rank must call it at once; it waits for the device.
        """
        totals = {
            name: float(self.trainer.strategy.reduce(part.double(), reduce_op="sum"))
            for name, part in self.last.sums.items()
        }
        return sum(total / self.last.counts[name] for name, total in totals.items())
