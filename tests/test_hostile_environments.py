"""Environments that libraries would obey: the same weights and the same numbers come out of each.

Every variable of `core/library_variables.txt`, which libraries of a stage read, is set to something that
would change, stop or break a run that inherited it. What chooses kernels may change rounding; it is recorded.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.core.values.variables import KERNELS, is_passed

NAMES = (Path(__file__).parent / "core" / "values" / "library_variables.txt").read_text().split()

VALUES = {
    "PL_TRAINER_LIMIT_TRAIN_BATCHES": "0.01",
    "PL_TRAINER_MAX_TIME": "00:00:00:01",
    "PL_TRAINER_PRECISION": "bf16-mixed",
    "PL_TRAINER_GRADIENT_CLIP_VAL": "0.001",
    "PL_TRAINER_ACCELERATOR": "tpu",
    "PL_TRAINER_STRATEGY": "deepspeed",
    "PL_TRAINER_PROFILER": "advanced",
    "PL_TRAINER_DETERMINISTIC": "true",
    "PL_GLOBAL_SEED": "4321",
    "PYTHONWARNINGS": "ignore",
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "17",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONMALLOC": "malloc",
    "PYTHONINTMAXSTRDIGITS": "640",
    "PYTHONSTARTUP": "/nowhere.py",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
    "OMP_NUM_THREADS": "3",
    "MALLOC_PERTURB_": "165",
    "WORLD_SIZE": "2",
    "RANK": "1",
    "WANDB_MODE": "online",
    "WANDB_BASE_URL": "http://127.0.0.1:9",
}
"""What is set to something else than 1."""

ROUNDING = {
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "ARROW_USER_SIMD_LEVEL": "NONE",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OMP_PROC_BIND": "true",
    "KMP_BLOCKTIME": "0",
}
"""Variables that choose kernels or take memory, on a CPU."""

_THE_PARENTS_OWN = frozenset(
    (
        "PYTHONUTF8",
        "PYTHONCOERCECLOCALE",
        "PYTHONINSPECT",
        "PYTHONDEVMODE",
        "PYTHONEXECUTABLE",
        "PYTHONVERBOSE",
    )
)
"""Not dropped but refused, or about how the test's own interpreter behaves."""


def hostile(names):
    return {n: VALUES.get(n, "1") for n in names if not is_passed(n) and n not in _THE_PARENTS_OWN}


def run(store, small, environment, last="perplexity"):
    """Run as far as a stage, in an environment."""
    command = [
        sys.executable,
        "-m",
        "lmexp.run",
        *small,
        f"only=[{last}]",
        "tracking=none",
        f"store={store}",
    ]
    done = subprocess.run(
        command,
        cwd=store.parent,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=500,
    )
    assert done.returncode == 0, (environment, done.stderr)
    return find_run(Store(store), "last")


def numbers(metrics):
    timed = ("seconds", "per_second")
    return {key: value for key, value in metrics.items() if not key.endswith(timed)}


def check_same(run, finished, *, recorded):
    store, known, _ = finished
    for name, entry in run.stages.items():
        assert entry["fingerprint"] == known.stages[name]["fingerprint"]
        ours = Store(run.path.parents[1]).find(entry["stage"], entry["fingerprint"])
        theirs = store.find(entry["stage"], entry["fingerprint"])
        (segment,) = ours.data["segments"]
        assert {n: segment["variables"][n] for n in recorded} == dict(recorded)
        if not recorded:
            assert ours.content_hashes() == theirs.content_hashes(), name
    weights = [load_file(r.artifact("pretrain") / "model.safetensors") for r in (run, known)]
    for name, tensor in weights[0].items():
        assert tensor == pytest.approx(weights[1][name], abs=1e-3), name
    mine = numbers(run.metrics)
    assert mine == pytest.approx({key: known.metrics[key] for key in mine}, rel=1e-3)
    if not recorded:
        assert mine == {key: known.metrics[key] for key in mine}


def test_all_hostile_variables_at_once_change_no_byte(tmp_path, small, finished):
    check_same(run(tmp_path / "store", small, hostile(NAMES), "pretrain"), finished, recorded={})


@pytest.mark.slow
@pytest.mark.parametrize("share", range(50))
def test_each_fiftieth_of_the_hostile_variables_changes_no_byte(tmp_path, small, finished, share):
    check_same(run(tmp_path / "store", small, hostile(NAMES[share::50])), finished, recorded={})


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUNDING)
def test_what_chooses_kernels_changes_rounding_and_is_recorded(tmp_path, small, finished, name):
    assert name in KERNELS
    chosen = {name: ROUNDING[name]}
    check_same(run(tmp_path / "store", small, chosen), finished, recorded=chosen)
