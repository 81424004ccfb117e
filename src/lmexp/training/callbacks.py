"""What happens after an optimizer step: the training curve, stopping, checkpoints.

Each callback acts after whole optimizer steps only, in the order in which `pretrain` lists them,
and on every rank alike, because each may communicate. Away from the steps at which one acts,
nothing waits for the device.
"""

import abc
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import distributed

from lmexp.training.checkpoints import checkpoint_path, publish_checkpoint
from lmexp.training.config import PretrainConfig
from lmexp.training.finite import check_state, finite_loss
from lmexp.training.module import PretrainModule

STEPS_BEFORE_TIMING = 2
"""First steps of a process, slower than the rest, that its `tokens_per_second` leaves out."""

SECONDS_BETWEEN_POLLS = 1.0
"""How often several ranks agree on whether to stop, about."""


class QuietCallback(pl.Callback):
    """A callback that Lightning does not call for each micro-batch."""

    # Lightning enters a context for each hook of each callback in each micro-batch, and skips what is None.
    on_train_batch_start = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_optimizer_step = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_train_batch_end: Any = None


class AfterStep(QuietCallback, abc.ABC):
    """A callback that acts after whole optimizer steps, not after micro-batches: `AfterEachStep` lets it."""

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config

    @abc.abstractmethod
    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
        """Act after `step` completed optimizer steps."""


class AfterEachStep(QuietCallback):
    """Lets callbacks act after each step, in their order: the one that Lightning calls for a micro-batch."""

    def __init__(self, config: PretrainConfig, callbacks: Sequence[AfterStep]) -> None:
        self._accumulation = config.accumulation
        self._callbacks = callbacks

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Call them if this micro-batch completed a step."""
        if (batch_idx + 1) % self._accumulation == 0:
            assert isinstance(pl_module, PretrainModule)
            step = trainer.global_step
            for callback in self._callbacks:
                callback.after_step(trainer, pl_module, step)


class Curve(AfterStep):
    """Hands the points of the training curve to `log`, on rank 0, and keeps the totals.

    Where it is due, `validation` adds to a point; its time is in no rate.
    """

    def __init__(
        self,
        config: PretrainConfig,
        log: Callable[[dict[str, Any]], None],
        validation: Callable[[PretrainModule], dict[str, float]] | None = None,
    ) -> None:
        super().__init__(config)
        self.tokens_per_step = config.global_batch_size * config.resolved_sample_length
        self.last_loss = math.nan
        """Loss at the last point, in nats per token."""
        self.tokens_per_second = math.nan
        """Rate of this process's steps but the first few, over all ranks."""
        self.cpu_seconds = 0.0
        """CPU time of all ranks and of all processes before a resume."""
        self.validated: dict[str, float] = {}
        """What the last validation found, by name."""
        self.validated_at = 0
        """The step of the last validation."""
        self._log = log
        self._validation = validation
        self._cpu_mark = _cpu_seconds()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clocks."""
        self._first_step = trainer.global_step
        self._last_point = self._timed_from = (self._first_step, time.perf_counter())

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
        """Log a point of the curve where one is due.

        Errors: `Diverged` if the loss or a gradient is no longer finite.
        """
        log_every = self.config.trainer.log_every_n_steps
        if step == self._first_step + STEPS_BEFORE_TIMING and step < self.config.trainer.max_steps:
            _wait_for_device(module)
            self._timed_from = (step, time.perf_counter())
            if self._last_point[0] == self._first_step and not self._is_due(log_every, step):
                self._last_point = self._timed_from  # the first point's rate, too, leaves out compiling
        validates = self._validation is not None and self._is_due(self.config.validation_every_steps, step)
        if not validates and not self._is_due(log_every, step):
            return
        self.last_loss = finite_loss(module, step)
        now = time.perf_counter()
        assert module.last.grad_norm is not None
        point = {
            "step": step,
            "train/loss": self.last_loss,
            "lr": module.last.lr,
            "grad_norm": float(module.last.grad_norm),
            "tokens_seen": step * self.tokens_per_step,
            "tokens_per_second": self._rate(self._last_point, (step, now)),
        }
        if validates:
            assert self._validation is not None
            self.validated, self.validated_at = self._validation(module), step
            point |= self.validated
        if trainer.is_global_zero:
            self._log(point)
        pause = time.perf_counter() - now
        self._timed_from = (self._timed_from[0], self._timed_from[1] + pause)
        self._last_point = (step, now + pause)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clocks."""
        assert isinstance(pl_module, PretrainModule)
        _wait_for_device(pl_module)
        self.tokens_per_second = self._rate(self._timed_from, (trainer.global_step, time.perf_counter()))
        self.add_cpu_time(pl_module)

    def add_cpu_time(self, module: PretrainModule) -> None:
        """Add what all ranks have used since the last call to `cpu_seconds`; all ranks call it at once."""
        used = _cpu_seconds() - self._cpu_mark
        self._cpu_mark += used
        seconds = torch.tensor(used, dtype=torch.float32, device=module.device)
        self.cpu_seconds += float(module.trainer.strategy.reduce(seconds, reduce_op="sum"))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run continues."""
        return {
            "last_loss": self.last_loss,
            "cpu_seconds": self.cpu_seconds,
            "validated": self.validated,
            "validated_at": self.validated_at,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the totals of the run that saved `state_dict`."""
        self.last_loss = state_dict["last_loss"]
        self.cpu_seconds += state_dict["cpu_seconds"]
        self.validated, self.validated_at = state_dict["validated"], state_dict["validated_at"]

    def _is_due(self, every: int | None, step: int) -> bool:
        return every is not None and (step % every == 0 or step == self.config.trainer.max_steps)

    def _rate(self, start: tuple[int, float], end: tuple[int, float]) -> float:
        steps, seconds = end[0] - start[0], end[1] - start[1]
        return steps * self.tokens_per_step / seconds if steps and seconds > 0 else math.nan


class StopOnRequest(AfterStep):
    """Ends training early once rank 0's `should_stop` says so.

    A single rank asks after every step. Several ranks must leave after the same step, so rank 0
    broadcasts its answer, together with the number of steps until it will be asked again, which
    it sets so that about a second passes.
    """

    def __init__(self, config: PretrainConfig, should_stop: Callable[[], bool]) -> None:
        super().__init__(config)
        self.stopped = False
        self._should_stop = should_stop
        self._next_poll = 0
        self._last_poll = (0, time.monotonic())

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
        """Ask, where a question is due; the last step is never a stop."""
        if step >= self.config.trainer.max_steps or step < self._next_poll:
            return
        if self.config.world_size == 1:
            self.stopped = self._should_stop()
        else:
            answer = torch.zeros(2, dtype=torch.int64)
            if trainer.is_global_zero:
                answer = torch.tensor([int(self._should_stop()), self._steps_until_next_poll(step)])
            answer = answer.to(module.device)
            distributed.broadcast(answer, src=0)
            stop, steps = answer.tolist()
            self.stopped, self._next_poll = bool(stop), step + steps
        if self.stopped:
            trainer.should_stop = True

    def _steps_until_next_poll(self, step: int) -> int:
        (last_step, last_time), now = self._last_poll, time.monotonic()
        self._last_poll = (step, now)
        if not last_step or now <= last_time:
            return 1
        steps = round((step - last_step) / (now - last_time) * SECONDS_BETWEEN_POLLS)
        # Never much further than what was just measured: the first steps are slow.
        return max(1, min(steps, 2 * (step - last_step)))


class Checkpoints(AfterStep):
    """Saves all state every `checkpoint_every_steps` steps, and when training stops early.

    Only a finite state is saved or gone on from.
    """

    def __init__(
        self,
        config: PretrainConfig,
        directory: Path,
        curve: Curve,
        stop: StopOnRequest,
        published: Callable[[], None],
    ) -> None:
        """Save into `directory`; rank 0 calls `published` after each checkpoint."""
        super().__init__(config)
        self.directory = directory
        self._curve = curve
        self._stop = stop
        self._published = published

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at what training goes on from. Errors: `Diverged` if it is not finite."""
        assert isinstance(pl_module, PretrainModule)
        check_state(trainer, pl_module, trainer.global_step)

    def after_step(self, trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
        """Save where a checkpoint is due.

        Errors: `Diverged` if anything is no longer finite, so that no broken state is kept.
        """
        if step % self.config.checkpoint_every_steps and not self._stop.stopped:
            return
        finite_loss(module, step)
        check_state(trainer, module, step)
        self._curve.add_cpu_time(module)
        final = checkpoint_path(self.directory, step)
        temporary = final.with_suffix(".tmp")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            publish_checkpoint(temporary, final, keep=self.config.keep_checkpoints)
            self._published()
        trainer.strategy.barrier()


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of what it has started and waited for: compilers."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def _wait_for_device(module: PretrainModule) -> None:
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
