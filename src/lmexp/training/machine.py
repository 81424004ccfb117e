"""Whether a training has what it asks for, of this machine and of a user's own file; imports no torch."""

from pathlib import Path

from lmexp.errors import ConfigError
from lmexp.models.device import lacks_gpu
from lmexp.models.families import check_own_network
from lmexp.training.compilation.rule import lacks, missing_compiler
from lmexp.training.config import PretrainConfig


def check_machine(config: PretrainConfig, devices: Path = Path("/dev")) -> None:
    """Raise `ConfigError` for a GPU on a Linux machine without one, compiling without a compiler, or a
    family of the user's own without a network.

    What it cannot rule out, such as a driver that is too old, the stage finds.
    """
    check_own_network(config.model)
    accelerator = config.trainer.accelerator
    if config.trainer.compile == "on":
        missing = missing_compiler("cpu" if accelerator in ("cpu", "auto") else "cuda")
        if missing is not None:
            raise ConfigError(lacks(missing))
    if accelerator in ("gpu", "cuda") and lacks_gpu(devices):
        raise ConfigError(
            f"trainer.accelerator={accelerator} needs a GPU, and this machine has none; "
            f"set trainer.accelerator=cpu, or run it where one is."
        )
