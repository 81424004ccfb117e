"""Python's garbage, collected after the same steps on all ranks.

Left alone, Python collects at times of its own, and each collection of one rank stalls the others. Here all
ranks collect after the same steps. What is there before the first step and after it, modules above all, lives
until the end, so it is set aside (``gc.freeze``): a collection that looked at the 360,000 objects of a worker
took 200 ms, and one that leaves them out takes microseconds. Where a process had set objects aside before,
these stay so, nothing is added and nothing given back: Python cannot tell whose they are.
"""

import gc

import pytorch_lightning as pl

from lmexp.training.callbacks import AfterStep
from lmexp.training.module import PretrainModule

STEPS_BETWEEN_COLLECTIONS = 500
"""Optimizer steps between two collections of Python's garbage."""


class CollectGarbage(AfterStep):
    """Turns automatic collection off, and collects every so many steps."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Turn automatic collection off."""
        self._first_step = trainer.global_step
        self._was_enabled = gc.isenabled()
        self._is_frozen = gc.get_freeze_count() > 0
        gc.disable()
        self._spare_what_lives()

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:  # noqa: ARG002
        """Collect where it is due, on all ranks after the same step."""
        if step == self._first_step + 1:
            self._spare_what_lives()  # compiled code, the optimizer's state
        elif step % STEPS_BETWEEN_COLLECTIONS == 0:
            gc.collect()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Turn automatic collection on again."""
        if not self._is_frozen:
            gc.unfreeze()
        if self._was_enabled:
            gc.enable()

    def on_exception(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        """Turn automatic collection on again."""
        if hasattr(self, "_was_enabled"):
            self.on_train_end(trainer, pl_module)

    def _spare_what_lives(self) -> None:
        gc.collect()
        if not self._is_frozen:
            gc.freeze()
