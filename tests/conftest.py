"""Shared fixtures: one thread a process, a small real corpus, and one finished run to read.

Tests run in several processes (`-n`, from pyproject.toml), each with one thread. What is expensive to make is
made once for all of them: see `shared`.
"""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for _name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "LMEXP_STORE"):
    os.environ.pop(_name, None)

import compileall
import fcntl
import gc
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import lmexp
from lmexp.core.records.runs import Run, find_run
from lmexp.core.store.store import Store

SMALL = [
    "+experiment=tiny",
    "corpus=local",
    "corpus.max_document_bytes=4096",
    "corpus.test_fraction=0.15",
    "corpus.validation_fraction=0.15",
    "prompts.limit=5",
    "trainer.max_steps=12",
    "trainer.log_every_n_steps=1",
    "checkpoint_every_steps=3",
]
"""Overrides under which the whole pipeline takes seconds on the `small_corpus`."""


def lmexp_run(
    store: Path, *overrides: str, cwd: Path | None = None, python: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lmexp.run`` as a person would."""
    command = [sys.executable, *python, "-m", "lmexp.run", *overrides, f"store={store}"]
    return subprocess.run(command, cwd=cwd or store.parent, capture_output=True, text=True, timeout=500)


def pytest_xdist_auto_num_workers() -> int:
    """Use the machine's processors, but no more than the suite has long files for."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 8)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: archives hold times, and all processes must name a test alike."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


WRITES_NO_BYTECODE = sys.dont_write_bytecode
"""Whether PYTHONDONTWRITEBYTECODE is set: then each of a thousand children would compile lmexp anew."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile lmexp once for all processes, and let pytest keep its test files compiled."""
    if WRITES_NO_BYTECODE:
        if not hasattr(config, "workerinput"):
            compileall.compile_dir(Path(lmexp.__file__).parent, quiet=2)
        sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of objects that live as long as the process."""
    sys.dont_write_bytecode = WRITES_NO_BYTECODE
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Return a function that makes a directory by name once for all test processes, and returns it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def directory(name: str, make: Callable[[Path], None]) -> Path:
        path = root / f"shared-{name}"
        with (root / f"shared-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (path / "made").exists():
                (path / "content").mkdir(parents=True)
                make(path / "content")
                (path / "made").touch()
        return path / "content"

    return directory


@pytest.fixture(scope="session")
def small_corpus(shared) -> Path:
    """About 400 kB of Python source in text files, which real evaluation items can be made from."""

    def make(folder: Path) -> None:
        library = Path(sysconfig.get_path("stdlib"))
        for name in ("argparse", "tarfile", "typing", "inspect", "difflib", "subprocess"):
            text = (library / f"{name}.py").read_text(encoding="utf-8")
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")

    return shared("corpus", make)


@pytest.fixture(scope="session")
def small(small_corpus) -> list[str]:
    """The overrides of the small run."""
    return [*SMALL, f"corpus.files=['{small_corpus}/*.txt']"]


@pytest.fixture(scope="session")
def first_finished(shared, small) -> Path:
    """A directory with the store of a finished run and what its command printed: made once, only copied."""

    def make(folder: Path) -> None:
        done = lmexp_run(folder / "store", *small, "tracking.mode=offline")
        assert done.returncode == 0, done.stderr
        (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")

    return shared("finished", make)


@pytest.fixture(scope="session")
def finished(first_finished, tmp_path_factory) -> tuple[Store, Run, str]:
    """A finished run with its store and what the command printed. Tests must not write to it."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(first_finished / "store", folder / "store", symlinks=True)
    printed = (first_finished / "stdout.txt").read_text(encoding="utf-8")
    store = Store(folder / "store")
    return store, find_run(store, "last"), printed.replace(str(first_finished), str(folder))


@pytest.fixture
def copy_of_finished(first_finished, tmp_path) -> Store:
    """A store of one's own with all that the finished run left behind, for a run that changes little."""
    shutil.copytree(first_finished / "store", tmp_path / "store", symlinks=True)
    return Store(tmp_path / "store")
