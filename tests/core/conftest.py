"""Fixtures of the engine's tests: the toy pipeline, run in this process or as a command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from lmexp.core.graph.loading import load_file
from lmexp.core.graph.plan import Plan, make_plan
from lmexp.core.running.executor import execute
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.config import build
from lmexp.core.values.settings import ExecutorConfig

TOY = Path(__file__).with_name("toy.py")


class Silent:
    """An observer that only remembers."""

    def __init__(self) -> None:
        self.actions: dict[str, str] = {}
        self.attempts: dict[str, Path] = {}
        self.losses: list[str] = []

    def waiting(self, name, who): ...

    def lost(self, message):
        self.losses.append(message)

    def tick(self): ...

    def started(self, name, attempt, from_step):
        self.attempts[name] = attempt

    def finished(self, name, record, action):
        self.actions[name] = action


@pytest.fixture
def toy() -> ModuleType:
    return load_file(TOY)


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def plan_toy(toy, store) -> Callable[..., Plan]:
    def plan(force=(), only=(), **values) -> Plan:
        config = build(toy.ToyExperiment, values)
        return make_plan(toy.pipeline(config), store, force=force, only=only)

    return plan


@pytest.fixture
def run_toy(plan_toy, store) -> Callable[..., tuple[dict[str, str], dict[str, Record]]]:
    def run(force=(), only=(), **values):
        observer = Silent()
        records = execute(plan_toy(force=force, only=only, **values), store, ExecutorConfig(), observer)
        return observer.actions, records

    return run


CONFIG = """
defaults: [engine, _self_]
pipeline: {toy}
tracking: {{mode: 'off'}}
numbers: {{count: 5, offset: 0, sleep_s: 0.0}}
total: {{power: 1, step_s: 0.0, fail_at: null, fill_bytes: 0}}
"""


class Command:
    """The toy pipeline behind ``python -m lmexp.run``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "store"
        (directory / "configs").mkdir(exist_ok=True)
        (directory / "configs" / "toy.yaml").write_text(CONFIG.format(toy=TOY))

    def words(self, *overrides: str) -> list[str]:
        flags = [word for word in overrides if word.startswith("-")]
        keys = [word for word in overrides if not word.startswith("-")]
        command = [sys.executable, "-m", "lmexp.run", "--config-dir", "configs", "--config-name", "toy"]
        return [*command, *flags, f"store={self.store}", *keys]

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*overrides),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def computes(self, stage: str) -> bool:
        """Whether a stage of that registered name has been handed to its child and is not finished yet."""
        for spec in self.store.glob("scratch/*/*/spec.json"):
            with suppress(FileNotFoundError):  # its scratch is just being removed
                if json.loads(spec.read_text())["stage"] == stage:
                    return True
        return False

    def run(self, *overrides: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*overrides)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def processes_of(path: Path, module: str = "") -> list[psutil.Process]:
    """Return the live processes whose command line names `path`, and wandb's that were started there.

    With `module`, only those whose command line names that too.
    """
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            is_there = str(path) in words or (
                "wandb-core" in words and any(str(path) in value for value in process.environ().values())
            )
            if is_there and module in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for a condition, which may look into directories that are just being removed.

    Errors: AssertionError when it does not come true.
    """
    end = time.monotonic() + timeout_s
    while True:
        with suppress(FileNotFoundError):
            if condition():
                return
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def command(tmp_path) -> Iterator[Command]:
    made = Command(tmp_path)
    yield made
    for process in processes_of(tmp_path):
        os.kill(process.pid, signal.SIGKILL)
