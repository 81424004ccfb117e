"""A pipeline without language models: numbers, and their sum computed in resumable steps."""

import json
import os
import time
from collections.abc import Mapping

from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, Upstream, stage
from lmexp.core.values.config import Config, option
from lmexp.core.values.settings import RunConfig
from lmexp.errors import DataError, Diverged


class NumbersConfig(Config):
    """How many numbers."""

    count: int = option(5, ge=0, le=1000)
    offset: int = option(0, absent_means=0)
    sleep_s: float = option(0.0, ge=0, placement=True)


class SumConfig(Config):
    """How they are added."""

    power: int = option(1, choices=(1, 2))
    step_s: float = option(0.0, ge=0, placement=True)
    fail_at: int | None = option(None, placement=True)
    diverge_at: int | None = option(None, placement=True)
    fill_bytes: int = option(0, ge=0, placement=True)


class ToyExperiment(RunConfig):
    """The toy pipeline's keys."""

    numbers: NumbersConfig = option(NumbersConfig())
    total: SumConfig = option(SumConfig())


class Numbers(Artifact):
    """A JSON list."""

    def load(self) -> list[int]:
        return json.loads((self.path / "numbers.json").read_text())


class Total(Artifact):
    """One number."""


@stage("toy_numbers", version=1, produces=Numbers)
def numbers(run: StageRun, config: NumbersConfig) -> Metrics:
    time.sleep(config.sleep_s)
    if config.count == 0:
        raise DataError("there are no numbers; raise numbers.count.")
    (run.out / "numbers.json").write_text(json.dumps([config.offset + i for i in range(config.count)]))
    return {"count": config.count}


def refuse_thirteen(config: SumConfig, upstream: Mapping[str, Upstream]) -> None:
    above = upstream["toy_numbers"]
    if above.metrics is not None and above.metrics["count"] == 13 and above.config.offset == 13:
        raise DataError("13 numbers from 13 cannot be added; lower numbers.count.")


@stage(
    "toy_total",
    version=1,
    produces=Total,
    resumes=True,
    label=lambda c: f"power-{c.power}",
    check_inputs=refuse_thirteen,
)
def total(run: StageRun, config: SumConfig, *, numbers: Numbers) -> Metrics:
    values = numbers.load()
    run.say(f"adds {len(values)} numbers")
    checkpoints = run.work / "checkpoints"
    done, result = 0, 0
    for path in checkpoints.glob("step-*.ckpt"):
        done, result = json.loads(path.read_text())
    for index in range(done, len(values)):
        if config.fail_at == index:
            raise ValueError("the toy was told to fail")
        if config.diverge_at == index:
            raise Diverged("the toy's sum is infinite; lower total.power.")
        if config.fill_bytes:
            (run.out / "ballast.bin").write_bytes(os.urandom(config.fill_bytes))
        time.sleep(config.step_s)
        result += values[index] ** config.power
        run.log({"step": index + 1, "sum": result})
        temporary = checkpoints / "new.tmp"
        temporary.write_text(json.dumps([index + 1, result]))
        temporary.rename(checkpoints / f"step-{index + 1:08d}.ckpt")
        (checkpoints / f"step-{index:08d}.ckpt").unlink(missing_ok=True)
        if run.should_stop() and index + 1 < len(values):
            return {"stopped": 1}
    (run.out / "total.txt").write_text(str(result))
    return {"sum": result}


def pipeline(config: ToyExperiment) -> dict[str, Handle]:
    values = numbers(config.numbers)
    return {"numbers": values, "total": total(config.total, numbers=values)}
