"""Real signals at random moments over all stages: nothing survives, nothing is half-made, nothing is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmexp.core.runs import find_run
from lmexp.core.store import Store

from .conftest import lmexp_run
from .core.conftest import processes_of, wait_until

pytestmark = pytest.mark.slow

KILLS = 10


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
        workers = [p for p in processes_of(store) if "lmexp.core.worker" in " ".join(p.cmdline())]
        if workers:
            os.kill(max(workers, key=lambda p: p.create_time()).pid, signal.SIGKILL)


def weights(store: Store) -> str:
    run = find_run(store, "last")
    (record,) = store.records("pretrain")
    assert run.stages["pretrain"]["artifact"] == record.path.relative_to(store.root).as_posix()
    assert store.problems(record, reread=True) == []
    return str(record.data["files"]["model.safetensors"]["sha256"])


@pytest.mark.parametrize("devices", [1, 2])
def test_killed_at_random_moments_a_run_completes_with_identical_weights(devices, small, tmp_path):
    overrides = [*small, f"trainer.devices={devices}", "trainer.max_steps=60", "tracking.mode=offline"]
    calm = Store(tmp_path / "calm")
    began = time.monotonic()
    done = lmexp_run(calm.root, *overrides)
    assert done.returncode == 0, done.stderr
    duration = time.monotonic() - began

    rng = random.Random(devices)
    store = Store(tmp_path / "killed")
    for number in range(KILLS):
        process = start(store.root, overrides)
        time.sleep(rng.uniform(0.1, duration * 0.5))
        kill(process, ("group", "parent", "rank")[number % 3], store.root)
        _, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        wait_until(lambda: not processes_of(store.root), timeout_s=10)
        for path in store.root.glob("artifacts/*/*"):
            assert (path / "artifact.json").exists(), f"{path} is half-made"
    done = lmexp_run(store.root, *overrides)
    assert done.returncode == 0, done.stderr
    assert weights(store) == weights(calm)
    assert find_run(store, "last").metrics["perplexity/test/loss"] == pytest.approx(
        find_run(calm, "last").metrics["perplexity/test/loss"], rel=1e-12
    )
    assert all(not store.problems(record, reread=True) for record in store.records())


@pytest.mark.parametrize("precision", ["64-true", "32-true"])
def test_the_loss_curve_of_two_ranks_is_that_of_one(precision, small, tmp_path):
    from lmexp.core.files import read_lines

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
