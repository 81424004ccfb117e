"""Shared fixtures: one thread a process, a small real corpus, and one finished run to read."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for _name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "LMEXP_STORE"):
    os.environ.pop(_name, None)

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from lmexp.core.runs import Run, find_run
from lmexp.core.store import Store

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


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory) -> Path:
    """About 400 kB of Python source in text files, which real evaluation items can be made from."""
    folder = tmp_path_factory.mktemp("corpus")
    library = Path(sysconfig.get_path("stdlib"))
    for name in ("argparse", "tarfile", "typing", "inspect", "difflib", "subprocess"):
        text = (library / f"{name}.py").read_text(encoding="utf-8")
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small(small_corpus) -> list[str]:
    """The overrides of the small run."""
    return [*SMALL, f"corpus.files=['{small_corpus}/*.txt']"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, small) -> tuple[Store, Run, str]:
    """A finished run with its store and what the command printed. Tests must not write to it."""
    store = Store(tmp_path_factory.mktemp("finished") / "store")
    done = lmexp_run(store.root, *small, "tracking.mode=offline")
    assert done.returncode == 0, done.stderr
    return store, find_run(store, "last"), done.stdout
