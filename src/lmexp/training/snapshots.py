"""Weights kept apart from checkpoints because they will be published: of chosen steps, or the best.

A file `step-00000100.safetensors` lies beside the checkpoints and holds the model's weights after 100
steps. It is written before the checkpoint of its step, and removed only after a checkpoint that no
longer needs it. So a run that goes on from any checkpoint finds what that checkpoint counts on; what
later steps had left behind is written again when they come again.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from safetensors.torch import load_file, save_file

from lmexp.core.values.files import fsync_path
from lmexp.models.network import Network
from lmexp.training.callbacks import AfterStep, Curve
from lmexp.training.config import PretrainConfig
from lmexp.training.finite import check_state, finite_loss
from lmexp.training.module import PretrainModule
from lmexp.training.optimization.averaging import Averaging

_NAME = re.compile(r"step-(\d+)\.safetensors")


def snapshot_path(directory: Path, step: int) -> Path:
    """Return the name of the weights after `step` optimizer steps."""
    return directory / f"step-{step:08d}.safetensors"


def load_snapshot(model: Network, path: Path) -> None:
    """Give `model` the weights in `path`."""
    model.load_state_dict(load_file(path))


class Snapshots(AfterStep):
    """Keeps the weights of `publish_steps` and, with `publish: best`, those of the lowest validation loss.

    Of equal losses the first counts. Where weights are averaged, their average is kept.
    """

    def __init__(self, config: PretrainConfig, directory: Path, curve: Curve, averaging: Averaging) -> None:
        super().__init__(config)
        self.directory = directory
        self.best: Mapping[str, float] = {}
        """Validation metrics of the best step so far, empty before the first validation."""
        self.best_step = 0
        """The best step so far."""
        self._curve = curve
        self._averaging = averaging

    @property
    def best_path(self) -> Path:
        """The weights of the best step."""
        return snapshot_path(self.directory, self.best_step)

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
        """Save the weights where they may be published. Errors: `Diverged` if they are not finite."""
        due = step in self.config.publish_steps
        if self.config.publish == "best" and self._curve.validated_at == step:
            loss = self._curve.validated["validation/loss"]
            if loss < self.best.get("validation/loss", math.inf):
                self.best, self.best_step, due = dict(self._curve.validated), step, True
        if due:
            finite_loss(module, step)
            check_state(trainer, module, step)
            if trainer.is_global_zero:
                with self._averaging.averaged(module.model):
                    self._save(module.model, snapshot_path(self.directory, step))
            trainer.strategy.barrier()

    def remove_unneeded(self) -> None:
        """Remove the weights that will not be published; rank 0 calls it after each checkpoint."""
        needed = {*self.config.publish_steps, self.best_step}
        for path in self.directory.iterdir():
            if (match := _NAME.fullmatch(path.name)) and int(match[1]) not in needed:
                path.unlink()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run continues."""
        return {"best": dict(self.best), "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the best step of the run that saved `state_dict`."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]

    def _save(self, model: Network, final: Path) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_suffix(".weights.tmp")
        save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, temporary)
        fsync_path(temporary)
        os.replace(temporary, final)
