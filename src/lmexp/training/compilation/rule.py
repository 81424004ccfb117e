"""Whether a training is compiled: chosen once, at its start, and never from a timing.

``trainer.compile`` is `on`, `off` or `auto`. `auto` compiles where the seconds that it saves exceed the
seconds that it costs:

    steps x tokens a step x FLOPs a token / rate x share  >  cost

`rate`, `share` and `cost` are constants of the kind of device and the precision (SAVED, COST_S), so that the
same configuration chooses alike on every machine of a kind. The checkpoint keeps the choice, and `auto`
keeps to it after a resume: a compiled step rounds otherwise than an eager one, and only the same path gives
the same bits. What a person says outright, `on` or `off`, holds from then on, and equals to rounding.

The CPU's constants are medians on one core of an Intel Xeon with avx512_bf16 and no AMX, `small_gpt`'s
shape: 0.84 of an eager forward and backward pass in fp32 and 0.86 in bf16-mixed at 72 and 48 GFLOP a
second, and 60 CPU seconds to compile with an empty cache. A GPU's are no measurement: its rate is
taken so low that only a training of minutes is compiled.

Nothing here imports torch: a plan asks before anything runs.
"""

import importlib.util
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from lmexp.errors import ConfigError
from lmexp.training.config import PretrainConfig

COST_S = 60.0
"""Seconds that compiling takes with an empty cache."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What compiling saves on one kind of device in one precision."""

    flops_per_second: float
    """Arithmetic of an eager step, forward and backward, by one device."""

    share: float
    """Saved share of a step's seconds."""


SAVED = {
    ("cpu", "32-true"): Saved(flops_per_second=72e9, share=0.16),
    ("cpu", "bf16-mixed"): Saved(flops_per_second=48e9, share=0.14),
    ("cuda", "32-true"): Saved(flops_per_second=20e12, share=0.1),
    ("cuda", "bf16-mixed"): Saved(flops_per_second=100e12, share=0.1),
}
"""By kind of device and `trainer.precision`; what is not here is not compiled unless it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whether a training is compiled, and why."""

    compiles: bool
    """Whether the model's blocks are compiled."""

    why: str
    """The reason, a clause that follows "since"."""


def choose(
    config: PretrainConfig,
    *,
    device: str,
    flops_per_token: float,
    has_blocks: bool,
    missing: str | None,
    kept: bool | None,
) -> Choice:
    """Return the choice for a training on `device` (`cpu` or `cuda`).

    Without blocks (a recurrent network's cells are one call of torch's own) nothing is compiled.

    `missing` is what the compiler lacks here, None where it lacks nothing. `kept` is the choice of the
    checkpoint from which training goes on, None for a fresh one.

    Errors: `ConfigError` where compiling is asked for, or was chosen before, and something is missing.
    """
    asked = config.trainer.compile
    if asked == "off" or not has_blocks:
        why = "trainer.compile is off" if has_blocks else "the network has no blocks to compile"
        return Choice(compiles=False, why=why)
    if asked == "on":
        if missing is not None:
            raise ConfigError(lacks(missing))
        return Choice(compiles=True, why="trainer.compile is on")
    if kept is not None:
        if kept and missing is not None:
            raise ConfigError(
                f"this training began compiled, and its checkpoint goes on to the same bits only compiled, "
                f"but this machine has {missing}; resume it where that is, or set trainer.compile=off to go "
                f"on from the checkpoint with results that differ by rounding."
            )
        return Choice(compiles=kept, why=f"it began {'compiled' if kept else 'eager'}")
    if missing is not None:
        return Choice(compiles=False, why=f"there is {missing}")
    saved_s = expected_saving_s(config, device=device, flops_per_token=flops_per_token)
    if saved_s is None:
        why = f"what it saves on {device} in {config.trainer.precision} was not measured"
        return Choice(compiles=False, why=why)
    steps = f"{config.trainer.max_steps:,} steps"
    why = f"{steps} should save about {saved_s:.0f} s and compiling takes {COST_S:.0f}"
    return Choice(compiles=saved_s > COST_S, why=why)


def expected_saving_s(config: PretrainConfig, *, device: str, flops_per_token: float) -> float | None:
    """Return the seconds that compiling should save each device, by the formula above; None if unknown."""
    saved = SAVED.get((device, config.trainer.precision))
    if saved is None:
        return None
    tokens = config.trainer.max_steps * config.global_batch_size * config.resolved_sample_length
    return tokens / config.world_size * flops_per_token / saved.flops_per_second * saved.share


def missing_compiler(device: str) -> str | None:
    """Return what this machine lacks to compile for `device`, in words that follow "there is"; or None."""
    compiler = "clang++" if sys.platform == "darwin" else "g++"
    if shutil.which(compiler) is None:
        return f"no C++ compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no Python.h (the headers of this Python)"
    if device != "cpu" and importlib.util.find_spec("triton") is None:
        return "no triton"
    return None


def lacks(missing: str) -> str:
    """Return the sentence for a machine that cannot do what trainer.compile=on asks for."""
    return (
        f"trainer.compile=on needs a compiler, and on this machine there is {missing}; install it, or set "
        f"trainer.compile=off."
    )
