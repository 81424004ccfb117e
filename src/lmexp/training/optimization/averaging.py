"""The average of the weights of many steps, which often predicts better than those of the last one.

Averaging begins after a step, its trigger (Polyak and Juditsky 1992), which is given, or found by validation
(NT-AvSGD: Merity et al., arXiv 1708.02182). With a patience of n, validation k triggers where its loss is
above the least of the first k - n ones, so that n worse looks in a row are borne. After step t > trigger

    average = (w_(trigger + 1) + ... + w_t) / (t - trigger)

Training goes on from w_t. Validation reads the average once there is one, and so do the weights to publish.
Trigger, average and past losses are in the checkpoint.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lmexp.models.network import Network
from lmexp.training.callbacks import AfterStep
from lmexp.training.config import PretrainConfig
from lmexp.training.module import PretrainModule


class Averaging(AfterStep):
    """Averages weights, where the configuration asks for it; it has to act before what reads the average."""

    def __init__(
        self, config: PretrainConfig, validation: Callable[[PretrainModule], dict[str, float]] | None
    ) -> None:
        super().__init__(config)
        self.trigger = config.averaging.from_step
        """The step after which averaging begins, None before that is known."""
        self.num_steps = 0
        """How many steps' weights are averaged."""
        self._average: dict[str, Tensor] = {}
        self._losses: list[float] = []
        self._validation = validation

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Take what a checkpoint held to where the weights are."""
        self._average = {name: mean.to(pl_module.device) for name, mean in self._average.items()}

    @torch.no_grad()
    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:  # noqa: ARG002
        """Add the step's weights to the average."""
        if self.trigger is None or step <= self.trigger:
            return
        self.num_steps += 1
        for name, weight in module.model.named_parameters():
            if self.num_steps == 1:
                self._average[name] = weight.detach().clone()
            else:
                self._average[name].lerp_(weight, 1 / self.num_steps)

    def validate(self, module: PretrainModule) -> dict[str, float]:
        """Return what validation finds of the average, or of the weights as long as there is none."""
        assert self._validation is not None, "validation is asked for"
        with self.averaged(module.model):
            found = self._validation(module)
        patience, loss = self.config.averaging.patience, found["validation/loss"]
        if patience is not None and self.trigger is None:
            earlier = self._losses[: max(0, len(self._losses) - patience)]
            if earlier and loss > min(earlier):
                self.trigger = module.trainer.global_step
            self._losses.append(loss)
        return found

    @contextmanager
    def averaged(self, model: Network) -> Iterator[None]:
        """Within it `model` has the average for its weights, if there is one."""
        own = {name: weight.detach().clone() for name, weight in model.named_parameters() if self._average}
        self.apply(model)
        try:
            yield
        finally:
            _give(model, own)

    def apply(self, model: Network) -> None:
        """Give `model` the average for its weights, if there is one."""
        _give(model, self._average)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run continues."""
        return {
            "trigger": self.trigger,
            "num_steps": self.num_steps,
            "average": self._average,
            "losses": self._losses,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the average of the run that saved `state_dict`."""
        self.trigger, self.num_steps = state_dict["trigger"], state_dict["num_steps"]
        self._average, self._losses = state_dict["average"], state_dict["losses"]


@torch.no_grad()
def _give(model: Network, weights: dict[str, Tensor]) -> None:
    for name, weight in model.named_parameters():
        if name in weights:
            weight.copy_(weights[name])
