"""Whether this machine has what a training asks for, known without importing torch."""

from pathlib import Path

from lmexp.errors import ConfigError
from lmexp.models.device import lacks_gpu
from lmexp.training.compile_rule import lacks, missing_compiler
from lmexp.training.config import PretrainConfig


def check_machine(config: PretrainConfig, devices: Path = Path("/dev")) -> None:
    """Raise `ConfigError` for a GPU on a Linux machine without one, or compiling without a compiler.

    What it cannot rule out, such as a driver that is too old, the stage finds.
    """
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
