"""The Lightning module: a network, its objective, its optimizer and its learning rate.

The gradient of a step is that of the loss of the *global* batch, however that batch is cut. Each term
of the loss is a sum over a count. Lightning divides a micro-batch's loss by the accumulation and DDP
averages gradients over ranks, so a micro-batch returns sum * world_size * accumulation / count of each.

Nothing here waits for the device: losses and gradient norms stay tensors until someone asks.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lmexp.models.network import Network
from lmexp.training.config import PretrainConfig
from lmexp.training.objectives.objective import Objective
from lmexp.training.optimization.optimizers import build_optimizer
from lmexp.training.optimization.schedules import lr_ratio


class PretrainModule(pl.LightningModule):
    """A network that is trained to do what its objective says."""

    def __init__(self, config: PretrainConfig, model: Network, objective: Objective) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.objective = objective
        self.sums: dict[str, Tensor] = {}
        """Of each term, this rank's part of its sum over the current step's global batch, a scalar tensor."""
        self.counts: Mapping[str, int] = {}
        """Of each term, what its sum over the whole global batch is divided by."""
        self.grad_norm: Tensor | None = None
        """Global norm of the last step's gradients before clipping, a scalar tensor."""
        self.gradients_finite = torch.ones((), dtype=torch.bool)
        """Whether all gradients of this process's steps were finite, a scalar tensor."""
        self.lr = 0.0
        """Learning rate of AdamW's parameters in the last step."""

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the micro-batch's loss, scaled as the module's docstring says."""
        sums = self.objective.loss(self.model, batch)
        if batch_idx % self.config.accumulation == 0:
            self.sums = {name: torch.zeros_like(part) for name, part in sums.items()}
        for name, part in sums.items():
            self.sums[name] += part.detach()
        self.counts = batch["counts"]
        scale = self.config.world_size * self.config.accumulation
        first, *others = (part * (scale / self.counts[name]) for name, part in sums.items())
        return sum(others, first)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the single optimizer; its learning rate is set before each step."""
        return build_optimizer(self.config.optimizer, self.model)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the step that is about to be taken."""
        ratio = lr_ratio(self.config.schedule, self.global_step, self.config.trainer.max_steps)
        self.lr = self.config.optimizer.lr * ratio
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
        self.grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.gradients_finite = self.gradients_finite.to(self.grad_norm.device) & self.grad_norm.isfinite()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restate Lightning's micro-batch counters for this run's accumulation.

        A checkpoint is written in `on_train_batch_end`, when all but `completed` have counted the
        last micro-batch. Its position is its number of optimizer steps; the number of micro-batches
        that those took depends on the world size.
        """
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
            for name, part in self.sums.items()
        }
        return sum(total / self.counts[name] for name, total in totals.items())
