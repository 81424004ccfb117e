"""Real signals at random moments over all stages: nothing survives, nothing is half-made, nothing is lost."""

import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lmexp.core.records.runs import find_run
from lmexp.core.records.verification import verify_store
from lmexp.core.store.store import Store

from .conftest import lmexp_run
from .core.conftest import processes_of, wait_until

pytestmark = pytest.mark.slow

KILLS = 50
"""For each number of ranks."""


def start(store: Path, overrides: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lmexp.run", *overrides, f"store={store}"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def kill(process: subprocess.Popen[str], victim: str, store: Path) -> None:
    if victim == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "parent":
        os.kill(process.pid, signal.SIGKILL)
    else:  # a rank where there are several, else the only child
        workers = processes_of(store, "lmexp.core.running.worker")
        if workers:
            os.kill(max(workers, key=lambda p: p.create_time()).pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def prepared(first_finished, small) -> Callable[..., tuple[Store, list[str]]]:
    """Return a function that makes a store where pretraining is left to do, and gives what asks for it."""

    def make(folder: Path, *more: str) -> tuple[Store, list[str]]:
        shutil.copytree(first_finished / "store", folder, symlinks=True)
        steps = ["trainer.max_steps=60", "checkpoint_every_steps=5", "only=[pretrain]"]
        return Store(folder), [*small, *steps, "tracking.mode=off", "executor.stale_after_s=3", *more]

    return make


@pytest.fixture(scope="module")
def calm(prepared, tmp_path_factory) -> Callable[[int], tuple[str, float]]:
    """Return a function that gives the weights which nobody disturbed, and the seconds that they took."""

    @functools.cache
    def undisturbed(devices: int) -> tuple[str, float]:
        store, overrides = prepared(tmp_path_factory.mktemp("calm") / "store", f"trainer.devices={devices}")
        began = time.monotonic()
        done = lmexp_run(store.root, *overrides)
        assert done.returncode == 0, done.stderr
        return weights_of(store), time.monotonic() - began

    return undisturbed


def weights_of(store: Store) -> str:
    """Return the hash of the weights that 60 steps lead to, which are as they were published."""
    (record,) = [r for r in store.records("pretrain") if r.data["identity"]["trainer"]["max_steps"] == 60]
    assert store.problems(record, reread=True) == []
    return str(record.data["files"]["model.safetensors"]["sha256"])


@pytest.mark.parametrize("devices", [1, 2])
def test_killed_again_and_again_a_run_completes_with_identical_weights(devices, prepared, calm, tmp_path):
    """Every other kill comes while the run recovers from the one before."""
    expected, duration = calm(devices)
    rng, completed = random.Random(devices), 0
    store, overrides = prepared(tmp_path / "killed", f"trainer.devices={devices}")
    for number in range(KILLS):
        process = start(store.root, overrides)
        time.sleep(rng.uniform(0.05, duration * 0.9) if number % 2 else rng.uniform(0.05, duration * 0.3))
        kill(process, ("group", "parent", "rank")[number % 3], store.root)
        _, err = process.communicate(timeout=300)
        assert "Traceback" not in err
        wait_until(lambda: not processes_of(store.root), timeout_s=30)
        assert store.damaged_records() == []
        if process.returncode == 0:  # it was quicker than the kill
            assert weights_of(store) == expected
            completed += 1
            shutil.rmtree(store.root)
            prepared(store.root)
    done = lmexp_run(store.root, *overrides)
    assert done.returncode == 0, done.stderr
    assert weights_of(store) == expected
    assert verify_store(store).problems == ()
    assert completed < KILLS / 2


@pytest.mark.parametrize("moment", range(10))
def test_a_holder_that_is_stopped_and_goes_on_leaves_its_successor_alone(moment, prepared, calm, tmp_path):
    """Every other time the stage's own process is stopped too, and every other two the successor is done."""
    expected, duration = calm(1)
    store, overrides = prepared(tmp_path / "store")
    sleeper = start(store.root, overrides)
    wait_until(lambda: processes_of(store.root, "lmexp.core.running.worker"), timeout_s=300)
    time.sleep(random.Random(moment).uniform(0, duration * 0.7))
    stopped = [psutil.Process(sleeper.pid)]
    if moment % 2:
        stopped += stopped[0].children(recursive=True)
    for process in stopped:
        process.suspend()
    held = not weights_exist(store)
    successor = start(store.root, overrides)
    if moment % 4 < 2:
        _, err = successor.communicate(timeout=500)
    else:
        takes = store.root / "scratch"
        wait_until(
            lambda: successor.poll() is not None or list(takes.glob("*/0002-*/spec.json")), timeout_s=300
        )
    for process in stopped:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    if moment % 4 >= 2:
        _, err = successor.communicate(timeout=500)
    assert successor.returncode == 0, err
    _, told = sleeper.communicate(timeout=500)
    assert sleeper.returncode == 0, told
    assert "Traceback" not in told
    if held:
        assert len([line for line in told.splitlines() if "was taken over by process" in line]) == 1
        assert not [line for line in told.splitlines() if line.startswith("lmexp: ")]
    assert weights_of(store) == expected
    assert verify_store(store).problems == ()
    assert not list((store.root / "scratch").glob("*/*"))


def weights_exist(store: Store) -> bool:
    return any(r.data["identity"]["trainer"]["max_steps"] == 60 for r in store.records("pretrain"))


@pytest.mark.parametrize("precision", ["64-true", "32-true"])
def test_the_loss_curve_of_two_ranks_is_that_of_one(precision, small, tmp_path):
    from lmexp.core.values.files import read_lines

    overrides = [*small, "only=[pretrain]", "tracking.mode=off", f"trainer.precision={precision}"]
    curves = []
    for devices, micro in ((1, 8), (2, 2)):
        store = Store(tmp_path / str(devices))
        done = lmexp_run(store.root, *overrides, f"trainer.devices={devices}", f"micro_batch_size={micro}")
        assert done.returncode == 0, done.stderr
        run = find_run(store, "last")
        assert run.stages["pretrain"]["world_size"] == devices
        curves.append([p["train/loss"] for p in read_lines(run.artifact("pretrain") / "metrics.jsonl")])
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], rel=1e-9 if precision == "64-true" else 1e-5)
