"""What it costs to plan, list and collect against stores of 10, 300 and 3,000 runs: CPU seconds by size.

Two small stages are computed once; their records and their run's are then copied under other identities, so
that each store holds as many runs as it says and two artifacts for each. Every figure is of a reader that has
never seen the store. The last column is the cost of each artifact at the largest size over that at the size
before it: 1 where the cost grows as the store does, below 1 where it grows slower, 10 where it grows as the
square.

A run that reuses everything is measured as a whole process. Give a directory to keep the stores there.
"""

import contextlib
import copy
import functools
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lmexp.cli import main
from lmexp.core.graph.compose import composition_of, handles_of
from lmexp.core.graph.plan import make_plan
from lmexp.core.graph.stage import Artifact, Handle, Metrics, StageRun, stage
from lmexp.core.records.gc import find_garbage, sweep
from lmexp.core.records.runs import INVOCATIONS, RUN, find_run
from lmexp.core.records.why import explain
from lmexp.core.running.session import run_composition
from lmexp.core.store.record import RECORD
from lmexp.core.store.store import Store
from lmexp.core.values.config import Config, option
from lmexp.core.values.fingerprint import SHORT, digest
from lmexp.core.values.sealed import read_sealed, write_sealed
from lmexp.core.values.settings import RunConfig

SIZES = (10, 300, 3000)
ROUNDS = 3
YAML = """
defaults: [engine, _self_]
pipeline: ???
tracking: {mode: 'off'}
first: {value: 0}
second: {value: 0}
"""


class NumberConfig(Config):
    """A number."""

    value: int = option(0)


class PlanningExperiment(RunConfig):
    """The keys of two stages, one after the other."""

    first: NumberConfig = option(NumberConfig())
    second: NumberConfig = option(NumberConfig())


class Number(Artifact):
    """A text."""


@stage("planning_first", version=1, produces=Number)
def first(run: StageRun, config: NumberConfig) -> Metrics:
    """Write a number."""
    (run.out / "number.txt").write_text(f"{config.value}\n")
    return {"value": config.value}


@stage("planning_second", version=1, produces=Number)
def second(run: StageRun, config: NumberConfig, *, before: Number) -> Metrics:
    """Write another number."""
    (run.out / "number.txt").write_text(f"{config.value} after {before.path.name}\n")
    return {"value": config.value}


def pipeline(config: PlanningExperiment) -> dict[str, Handle]:
    """Return the graph."""
    one = first(config.first)
    return {"first": one, "second": second(config.second, before=one)}


def values(store: Path, first: int, second: int = 0) -> dict[str, object]:
    """Return a plain configuration."""
    return {
        "pipeline": str(Path(__file__).absolute()),
        "store": str(store),
        "tracking": {"mode": "off"},
        "first": {"value": first},
        "second": {"value": second},
    }


def fill(store: Path, size: int) -> None:
    """Compute run 0 and copy it until the store holds `size` runs."""
    made = run_composition(composition_of(values(store, 0), experiment="planning"), stream=io.StringIO())
    artifacts = {name: made.run.artifact(name) for name in made.run.stages}
    records = {name: read_sealed(path / RECORD) for name, path in artifacts.items()}
    run = read_sealed(made.run.path / RUN)
    for index in range(1, size):
        plan = make_plan(handles_of(values(store, index)), Store(store))
        now = copy.deepcopy(run)
        for planned in plan.stages:
            name, stage_name = planned.name, planned.handle.stage.name
            record = copy.deepcopy(records[name])
            record["fingerprint"], record["identity"] = planned.fingerprint, planned.handle.identity()
            record["config"] = record["identity"]
            for key, value in planned.input_fingerprints.items():
                record["inputs"][key]["fingerprint"] = value
            target = store / "artifacts" / stage_name / f"{record['label']}-{planned.fingerprint[:SHORT]}"
            shutil.copytree(artifacts[name], target)
            write_sealed(target / RECORD, record)
            now["planned"][name] = now["stages"][name]["fingerprint"] = planned.fingerprint
            now["stages"][name]["artifact"] = target.relative_to(store).as_posix()
        now["run"] = f"planning-{digest(now['planned'])[:8]}"
        now["config"] = {**now["config"], "first": {"value": index}}
        folder = store / "runs" / now["run"]
        folder.mkdir()
        write_sealed(folder / RUN, now)
        shutil.copy(made.run.path / INVOCATIONS, folder)


def plan_of(store: Path, first: int, second: int = 0) -> None:
    """Plan one configuration."""
    opened = Store(store)
    make_plan(handles_of(values(store, first, second)), opened).verdicts(opened)


def explain_of(store: Path, size: int) -> None:
    """Explain a configuration that has no run."""
    composed = composition_of(values(store, size - 1, 7), experiment="planning")
    explain(composed.config, Store(store), handles_of)


def in_silence(verb: str, *words: str) -> None:
    """Give a verb of the command, and drop what it prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        main([verb, *words])


def run_again(store: Path, value: int) -> None:
    """Run, as a process of its own, what is published."""
    words = [f"store={store}", f"pipeline={Path(__file__).absolute()}", "tracking.mode=off"]
    command = [
        sys.executable,
        "-m",
        "lmexp.run",
        "--config-dir",
        str(store.parent),
        "--config-name",
        "planning",
    ]
    subprocess.run([*command, *words, f"first.value={value}"], check=True, capture_output=True)


READERS: dict[str, Callable[[Path, int], object]] = {
    "plan, all reused": lambda store, size: plan_of(store, size // 2),
    "plan, one stage to run": lambda store, size: plan_of(store, size // 2, 7),
    "plan, both stages to run": lambda store, size: plan_of(store, size + 1, 7),
    "why": explain_of,
    "run by its name": lambda store, _size: find_run(Store(store), last_run(store)),
    "show last": lambda store, _size: in_silence("show", "last", f"store={store}"),
    "ls": lambda store, _size: in_silence("ls", f"store={store}"),
    "gc, nothing to delete": lambda store, _size: find_garbage(Store(store)),
    "gc, all to delete": lambda store, _size: sweep_all(store),
    "process: run, all reused": lambda store, size: run_again(store, size // 2),
}


def last_run(store: Path) -> str:
    """Return the name of a run."""
    return max(os.listdir(store / "runs"))


def sweep_all(store: Path) -> None:
    """Delete, in a copy whose files are links, what all runs but one need."""
    with tempfile.TemporaryDirectory(dir=store.parent) as folder:
        copied = Path(folder) / "store"
        shutil.copytree(store, copied, copy_function=os.link)
        keep = [last_run(store)]
        began = cpu_now()
        garbage = find_garbage(Store(copied), keep)
        sweep(Store(copied), garbage, keep)
        _taken.append(cpu_now() - began)


_taken: list[float] = []
"""What a reader has measured of itself, where what it prepares is not to count."""


def cpu_now() -> float:
    """Return the CPU seconds of this process and of its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the median CPU seconds over some rounds."""
    taken = []
    for _ in range(ROUNDS):
        _taken.clear()
        began = cpu_now()
        work()
        taken.append(_taken[0] if _taken else cpu_now() - began)
    return statistics.median(taken)


def measure(folder: Path) -> None:
    """Print the table."""
    (folder / "planning.yaml").write_text(YAML)
    for size in SIZES:
        if not (folder / str(size)).exists():
            fill(folder / str(size), size)
    print(f"{'CPU milliseconds':26}", *(f"{size:>9} runs" for size in SIZES), "   ratio per artifact")
    for name, reader in READERS.items():
        taken = [cpu_seconds(functools.partial(reader, folder / str(size), size)) for size in SIZES]
        ratio = taken[-1] / taken[-2] / (SIZES[-1] / SIZES[-2])
        print(f"{name:26}", *(f"{1000 * value:>14.1f}" for value in taken), f"   {ratio:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(exist_ok=True)
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            measure(Path(temporary))
