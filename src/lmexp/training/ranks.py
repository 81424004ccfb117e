"""The processes of one training run: who started them, and how they leave.

lmexp starts ranks with ``torch.distributed.run`` and never lets Lightning start any, because
Lightning's launcher would run the parent's command line again. Here that is checked before the
first step, and Lightning is given a strategy that only joins what is already there.
"""

import os

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import distributed

from lmexp.errors import StageError


def rank() -> int:
    """Return the number of this process among the ranks, 0 if it is alone."""
    return int(os.environ.get("RANK", "0")) if distributed.is_torchelastic_launched() else 0


def check_world_size(expected: int) -> None:
    """Raise `StageError` unless this process is one of `expected` ranks."""
    started = int(os.environ.get("WORLD_SIZE", "1")) if distributed.is_torchelastic_launched() else 1
    if started != expected:
        raise StageError(
            f"this training asks for {expected} ranks (trainer.devices x trainer.num_nodes) and runs in a "
            f"group of {started}; start it through lmexp.run, which starts exactly the ranks it asks for."
        )


def cluster_environment(world_size: int) -> ClusterEnvironment:
    """Return the environment that tells Lightning its rank, so that it detects nothing by itself."""
    return TorchElasticEnvironment() if world_size > 1 else LightningEnvironment()


def strategy(world_size: int, accelerator: str) -> Strategy | str:
    """Return how gradients are averaged: DDP for several ranks, nothing for one."""
    if world_size == 1:
        return "auto"
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    return DDPStrategy(process_group_backend="nccl" if on_gpu else "gloo", gradient_as_bucket_view=True)


def close_group() -> None:
    """Wait for all ranks, whose results are on disk by now, and leave the process group together.

    Without it a rank that ends early tears connections that another's gloo threads still watch. The
    process must then end by ``os._exit``: gloo's threads abort an ordinary shutdown of the interpreter
    now and then (3 of 20 exits were measured to end in SIGABRT).
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
