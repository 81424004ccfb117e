"""The Lightning module: a language model, its loss, its optimizer and its learning rate.

The gradient of a step is that of the mean loss over all labels of the *global* batch, however
that batch is cut. Lightning divides a micro-batch's loss by the accumulation and DDP averages
gradients over ranks, so a micro-batch returns nll_sum * world_size * accumulation / num_valid_tokens.

Nothing here waits for the device: losses and gradient norms stay tensors until someone asks.

Shapes: B micro-batch, T time, V vocabulary.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional

from lmexp.models.language_model import LanguageModel
from lmexp.models.layers.attention import document_mask
from lmexp.training.config import PretrainConfig
from lmexp.training.optimizers import build_optimizer
from lmexp.training.schedules import lr_ratio


class PretrainModule(pl.LightningModule):
    """Next-token prediction."""

    def __init__(self, config: PretrainConfig, model: LanguageModel) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.nll_sum = torch.zeros(())
        """Total nats of this rank's part of the current step's global batch, a scalar tensor."""
        self.num_valid_tokens = 0
        """Labels in the current step's whole global batch."""
        self.grad_norm: Tensor | None = None
        """Global norm of the last step's gradients before clipping, a scalar tensor."""
        self.gradients_finite = torch.ones((), dtype=torch.bool)
        """Whether all gradients of this process's steps were finite, a scalar tensor."""
        self.lr = 0.0
        """Learning rate of AdamW's parameters in the last step."""

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the micro-batch's loss, scaled as the module's docstring says."""
        nll_sum = next_token_nll_sum(self.batch_logits(batch), batch["labels"])
        if batch_idx % self.config.accumulation == 0:
            self.nll_sum = torch.zeros_like(nll_sum)
        self.nll_sum += nll_sum.detach()
        self.num_valid_tokens = batch["num_valid_tokens"]
        return nll_sum * (self.config.world_size * self.config.accumulation / self.num_valid_tokens)

    def batch_logits(self, batch: Mapping[str, Any]) -> Tensor:
        """Return logits ``[B, T, V]`` of `input_ids`; with `document_ids`, each document stands alone."""
        if "document_ids" not in batch:
            return self.model(batch["input_ids"])  # type: ignore[no-any-return]
        positions, mask = document_mask(batch["document_ids"])
        return self.model(batch["input_ids"], positions=positions, mask=mask)  # type: ignore[no-any-return]

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
        total = self.trainer.strategy.reduce(self.nll_sum.double(), reduce_op="sum")
        return float(total) / self.num_valid_tokens


def next_token_nll_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed negative log-likelihood, in nats, of ``labels [B, T]`` under ``logits [B, T, V]``.

    Labels of -100 do not count. Half-precision logits are summed in fp32.
    """
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=-100, reduction="sum"
    )
