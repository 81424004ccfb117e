"""Where a trained model is evaluated, and in what arithmetic.

A network goes to the device as a whole, with its weights as they are stored. In `bf16-mixed` its matrix
products are computed in bf16 by torch's autocast, as they are in training; its norms, the residual stream and
every log-softmax stay in the stored dtype, or fp32. One context holds for a whole evaluation, so that weights
are cast once. A model that is counted has no device and no such arithmetic: it stays as it is.

What lacks a GPU is refused twice: before a run begins by Linux's device files, without torch, and when the
model is placed by torch itself, which also knows the driver.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError
from lmexp.models.families import NETWORKS
from lmexp.models.interface import LanguageModel

if TYPE_CHECKING:
    import torch

_GPU_FILES = ("nvidia[0-9]*", "nvhost-gpu", "dxg", "kfd")
"""Device files of GPUs on Linux: NVIDIA's, Jetson's, those of Windows' Linux, and AMD's."""


class DeviceConfig(Config):
    """Where a network computes, and how precisely."""

    device: str = option(default="auto", choices=("auto", "cpu", "cuda"), placement=True)
    """Kind of device; `auto` takes a GPU where one is visible."""

    precision: str = option(default="32-true", choices=("32-true", "bf16-mixed"), absent_means="32-true")
    """Arithmetic: `32-true` computes in the dtype of the stored weights, `bf16-mixed` multiplies matrices in
    bf16, which is fast on GPUs and on CPUs with bf16 instructions."""


def lacks_gpu(devices: Path = Path("/dev")) -> bool:
    """Return whether a Linux machine has no GPU; False where that cannot be ruled out without torch."""
    if not sys.platform.startswith("linux"):
        return False
    return not any(next(devices.glob(pattern), None) for pattern in _GPU_FILES)


def check_device(group: str) -> Callable[[DeviceConfig], None]:
    """Return what raises `ConfigError` for the configuration `group` on a machine without its device."""

    def check(config: DeviceConfig, devices: Path = Path("/dev")) -> None:
        if config.device == "cuda" and lacks_gpu(devices):
            raise _missing(group, "this machine has none")

    return check


@contextmanager
def computing(model: LanguageModel, config: DeviceConfig, purpose: str) -> Iterator[LanguageModel]:
    """Give `model` on the device and in the arithmetic of the configuration `purpose` (``perplexity``).

    Errors: `ConfigError` where torch finds no GPU.
    """
    if model.family not in NETWORKS.kinds:
        yield model
        return
    import torch

    from lmexp.models.network import Network

    assert isinstance(model, Network)
    device = _device(config.device, purpose)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16-mixed"):
        yield model.to(device)


def _device(kind: str, purpose: str) -> "torch.device":
    import torch

    if kind != "cpu" and torch.cuda.is_available():
        return torch.device("cuda", 0)
    if kind == "cuda":
        raise _missing(purpose, "torch finds none")
    return torch.device("cpu")


def _missing(group: str, why: str) -> ConfigError:
    return ConfigError(
        f"{group}.device=cuda needs a GPU, and {why}; set {group}.device=cpu, or run it where one is."
    )
