"""Small pretraining runs for the tests: in this process, or in several ranks under torchrun.

As a script, ``torchrun pretrain_runs.py jobs.json`` runs a list of jobs one after the other in one
process group; each job is the keyword arguments of `run`, and rank 0 writes what came out.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmexp.core.values.config import build
from lmexp.errors import Diverged
from lmexp.packing.samples import Samples, StreamSamples
from lmexp.training.config import PretrainConfig
from lmexp.training.module import PretrainModule
from lmexp.training.pretrain import PretrainResult, pretrain
from lmexp.training.ranks import close_group
from lmexp.training.validation import HeldOut

VOCAB = 23


class ArrayTokens:
    """Tokens in memory."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids

    @property
    def num_tokens(self) -> int:
        return len(self.ids)

    def read(self, start: int, length: int) -> np.ndarray:
        return self.ids[start : start + length].astype(np.int64)


def noise(num_tokens: int = 1500, seed: int = 0) -> ArrayTokens:
    """Return tokens whose frequencies can be learnt and whose order cannot."""
    generator = np.random.default_rng(seed)
    return ArrayTokens(
        np.minimum(generator.integers(0, VOCAB, num_tokens), generator.integers(0, VOCAB, num_tokens))
    )


def tiny(**changes: Any) -> PretrainConfig:
    """Return a configuration of 12 steps in double precision; dotted keys change it."""
    values: dict[str, Any] = {
        "seed": 5,
        "model": {"context_length": 8, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_model": 16},
        "optimizer": {"lr": 1e-2},
        "schedule": {"warmup_steps": 3},
        "trainer": {
            "max_steps": 12,
            "precision": "64-true",
            "accelerator": "cpu",
            "log_every_n_steps": 1,
        },
        "global_batch_size": 12,
    }
    for key, value in changes.items():
        *groups, name = key.split(".")
        target = values
        for group in groups:
            target = target[group]
        target[name] = value
    return build(PretrainConfig, values)


def held_out(config: PretrainConfig) -> HeldOut:
    """Return other noise, in which tokens stand for 0 to 3 bytes."""
    samples = StreamSamples(noise(700, seed=1), config.resolved_sample_length)
    return HeldOut(samples=samples, token_bytes=np.arange(VOCAB) % 4)


def train(
    config: PretrainConfig,
    checkpoints: Path,
    *,
    tokens: ArrayTokens | None = None,
    samples: Samples | None = None,
    vocab_size: int = VOCAB,
    log: Callable[[dict[str, Any]], Any] = bool,
    say: Callable[[str], Any] = bool,
    note: Callable[[str, str], Any] = lambda _name, _choice: None,
    should_stop: Callable[[], bool] = bool,
) -> PretrainResult:
    """Call `pretrain` with what a test does not care about filled in: noise, no log, no stop."""
    return pretrain(
        config,
        samples=samples or StreamSamples(tokens or noise(), config.resolved_sample_length),
        vocab_size=vocab_size,
        eos_token_id=0,
        held_out=held_out(config) if config.validation_every_steps else None,
        checkpoints=checkpoints,
        cache=checkpoints.with_name(f"{checkpoints.name}-cache"),
        log=log,
        say=say,
        note=note,
        should_stop=should_stop,
    )


def run(
    changes: dict[str, Any], checkpoints: Path | str, stop_after: int | None = None
) -> tuple[PretrainResult, list[dict[str, Any]]]:
    """Train on noise, asking to stop after `stop_after` steps; return the result and the curve.

    It asks by the number of the last logged step, so a test that stops logs every step.
    """
    points: list[dict[str, Any]] = []

    def should_stop() -> bool:
        return stop_after is not None and bool(points) and points[-1]["step"] >= stop_after

    result = train(tiny(**changes), Path(checkpoints), log=points.append, should_stop=should_stop)
    return result, points


class _Infinite(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * torch.inf


@contextmanager
def infinite_gradient(step: int) -> Iterator[None]:
    """Give the step that follows `step` completed ones a finite loss and gradients that are not."""
    original = PretrainModule.training_step

    def poisoned(self: PretrainModule, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        loss = original(self, batch, batch_idx)
        return _Infinite.apply(loss) if self.global_step == step else loss

    PretrainModule.training_step = poisoned
    try:
        yield
    finally:
        PretrainModule.training_step = original


def run_under_torchrun(jobs: list[dict[str, Any]], directory: Path, ranks: int) -> list[dict[str, Any]]:
    """Run `jobs` in one group of `ranks`; return for each its `points`, `weights`, `stopped`, `metrics`.

    A job with `infinite_at` has the gradients of `infinite_gradient`, and its result `diverged` alone.
    """
    (directory / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    done = subprocess.run(
        [*command, __file__, str(directory / "jobs.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    results = []
    for i in range(len(jobs)):
        outcome = json.loads((directory / f"{i}.json").read_text())
        if "diverged" not in outcome:
            outcome["weights"] = load_file(directory / f"{i}.safetensors")
        results.append(outcome)
    return results


def main(path: Path) -> None:
    """Run the jobs in the file `path` as one rank."""
    broadcasts = 0
    broadcast = torch.distributed.broadcast

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal broadcasts
        broadcasts += 1
        return broadcast(*args, **kwargs)

    torch.distributed.broadcast = counted
    for i, job in enumerate(json.loads(path.read_text())):
        broadcasts = 0
        if "infinite_at" in job:
            with infinite_gradient(job.pop("infinite_at")), pytest.raises(Diverged) as error:
                run(**job)
            (path.parent / f"{i}.json").write_text(json.dumps({"diverged": str(error.value)}))
            continue
        result, points = run(**job)
        if int(os.environ["RANK"]) == 0:
            save_file(result.model.state_dict(), path.parent / f"{i}.safetensors")
            outcome = {
                "points": points,
                "stopped": result.stopped,
                "metrics": result.metrics,
                "world_size": result.world_size,
                "broadcasts": broadcasts,
            }
            (path.parent / f"{i}.json").write_text(json.dumps(outcome))
        else:
            assert not points, "rank 0 alone logs"
    close_group()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
