"""A training that is no longer finite stops before anything of it is kept, and says what to change.

Infinity and not-a-number spread: one such gradient makes all weights of its step so, one such weight the
next loss, and a state of the optimizer may hide for long what it will never recover from. So the loss and
the gradients are looked at before a point or a checkpoint is written, and weights and optimizer before they
are kept, published or gone on from. Nothing is drawn at random, hence the same command fails again at the
same step: the error is a `Diverged`, which names what to change and offers no resuming.
"""

import math
from collections.abc import Iterator

import pytorch_lightning as pl
from torch import Tensor

from lmexp.errors import Diverged
from lmexp.models.finite import first_not_finite
from lmexp.training.config import PretrainConfig
from lmexp.training.module import PretrainModule


def finite_loss(module: PretrainModule, step: int) -> float:
    """Return the loss of the step that was taken last, in nats per token; all ranks call it at once.

    Errors: `Diverged` on every rank if it is not finite, or a gradient of this process's steps was not.
    """
    loss = module.mean_loss()
    if not math.isfinite(loss):
        raise Diverged(not_finite(module.config, f"the training loss became {loss} at step {step}"))
    if not bool(module.last.gradients_finite):
        raise Diverged(not_finite(module.config, f"a gradient was not finite by step {step}"))
    return loss


def check_state(trainer: pl.Trainer, module: PretrainModule, step: int) -> None:
    """Raise `Diverged` if a weight, or a number of the optimizer's or the carried state, is not finite."""
    carried = {} if module.carry is None else module.carry.tensors()
    state = {f"the carried state's {name}": tensor for name, tensor in carried.items()}
    state |= {**module.model.state_dict(), **dict(_optimizer_state(trainer, module))}
    name = first_not_finite(state)
    if name is not None:
        raise Diverged(not_finite(module.config, f"{name} was no longer finite after step {step}"))


def not_finite(config: PretrainConfig, what: str) -> str:
    """Return the sentence about a training that cannot go on, with the settings that may help."""
    optimizer, trainer = config.optimizer, config.trainer
    remedies = [f"lower optimizer.lr (now {optimizer.lr:g})"]
    if optimizer.name == "muon":
        remedies.append(f"lower optimizer.muon_lr (now {optimizer.muon_lr:g})")
    if optimizer.embedding_lr is not None:
        remedies.append(f"lower optimizer.embedding_lr (now {optimizer.embedding_lr:g})")
    remedies.append(f"lengthen schedule.warmup_steps (now {config.schedule.warmup_steps})")
    if trainer.gradient_clip_val is None:
        remedies.append("set trainer.gradient_clip_val=1.0 (now null)")
    if trainer.precision == "bf16-mixed":
        remedies.append("try trainer.precision=32-true (now bf16-mixed)")
    return (
        f"{what}, most likely because the learning rate is too high, and the same settings fail there "
        f"again; {', '.join(remedies[:-1])} or {remedies[-1]}."
    )


def _optimizer_state(trainer: pl.Trainer, module: PretrainModule) -> Iterator[tuple[str, Tensor]]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.model.named_parameters()}
    for optimizer in trainer.optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    yield f"the optimizer's {key} of {names[parameter]}", value
