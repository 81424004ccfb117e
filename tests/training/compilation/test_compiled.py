"""Compiled blocks: what they change, what they leave, and what the checkpoint keeps.

The fast tests let Dynamo trace the blocks and run the graphs as they are, without a C++ compiler; the slow
ones compile.
"""

import functools
import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
import torch

from lmexp.core.store.store import Store
from lmexp.errors import ConfigError, StageError
from lmexp.models.build import build_model
from lmexp.training.compilation import compiled as module_of_compiled
from lmexp.training.compilation.compiled import compiled_blocks
from lmexp.training.compilation.rule import missing_compiler
from tests.core.conftest import processes_of, wait_until
from tests.test_kills import start, weights_of
from tests.training.pretrain_runs import run, run_under_torchrun, tiny, train

ON = {"trainer.compile": "on"}
real_compile = torch.compile
needs_compiler = pytest.mark.skipif(missing_compiler("cpu") is not None, reason="there is no compiler")


@pytest.fixture
def traced(monkeypatch):
    """Trace and do not compile; the list grows by one with each graph."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(real_compile, backend=backend))
    monkeypatch.setattr(module_of_compiled, "missing_compiler", lambda _: None)
    return graphs


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


@pytest.mark.parametrize(("family", "masking"), [("qwen3", True), ("gpt2", False)])
def test_all_blocks_share_one_graph_and_train_as_eager_ones_do(tmp_path, traced, family, masking):
    shape = {"context_length": 8, "num_layers": 3, "num_heads": 4, "d_model": 16}
    model = {"model": {"architecture": family, **shape}, "document_masking": masking, "micro_batch_size": 4}
    eager, curve = run({**model, "trainer.compile": "off"}, tmp_path / "eager")
    assert traced == []
    result, points = run({**model, **ON}, tmp_path / "compiled")
    assert len(traced) == 1
    losses = [point["train/loss"] for point in points]
    assert losses == pytest.approx([point["train/loss"] for point in curve], rel=1e-9)
    assert result.model.state_dict().keys() == eager.model.state_dict().keys()
    assert all("forward" not in block.__dict__ for block in result.model.blocks), "the result runs eager"


def test_validation_runs_eager(tmp_path, traced):
    changes = {**ON, "validation_every_steps": 4, "validation_samples": 6}
    _, points = run(changes, tmp_path / "compiled")
    assert len(traced) == 1, "other shapes would have been another graph"
    assert [p["step"] for p in points if "validation/loss" in p] == [4, 8, 12]


def test_an_eager_model_comes_back_where_training_fails(traced):
    model = build_model(tiny().model, 23, 0).train()
    names = list(model.state_dict())

    def fails():
        with compiled_blocks(model):
            assert list(model.state_dict()) == names
            model(torch.zeros(1, 8, dtype=torch.long))
            raise RuntimeError("other reasons")

    with pytest.raises(RuntimeError, match="other reasons"):
        fails()
    assert len(traced) == 1
    assert all("forward" not in block.__dict__ for block in model.blocks)


def test_a_training_that_began_compiled_goes_on_compiled_and_one_that_began_eager_eager(tmp_path, traced):
    for began in ("on", "off"):
        folder, told = tmp_path / began, []
        run({"trainer.compile": began}, folder, stop_after=5)
        before = len(traced)
        train(tiny(**{"trainer.compile": "auto"}), folder, note=lambda *said, told=told: told.append(said))
        assert len(traced) - before == (began == "on")
        how = "on, since it began compiled" if began == "on" else "off, since it began eager"
        assert told == [("compile", how)]


def test_a_checkpoint_that_knows_of_no_choice_goes_on_eager(tmp_path, traced, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(module_of_compiled.Compiled, "state_dict", lambda _: {})
        run({}, tmp_path, stop_after=5)
    told = []
    train(tiny(**{"trainer.max_steps": 12}), tmp_path, note=lambda *said: told.append(said))
    assert told == [("compile", "off, since it began eager")]


def test_a_compiled_training_is_not_gone_on_with_where_there_is_no_compiler(tmp_path, traced, monkeypatch):
    run(ON, tmp_path, stop_after=5)
    monkeypatch.setattr(module_of_compiled, "missing_compiler", lambda _: "no C++ compiler (g++)")
    with pytest.raises(ConfigError, match=r"began compiled.*trainer\.compile=off"):
        run({}, tmp_path)
    _, points = run({"trainer.compile": "off"}, tmp_path)
    assert [point["step"] for point in points] == list(range(6, 13))


def test_a_compiler_that_fails_is_a_sentence_that_names_the_way_around(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("the assembler is missing")

    monkeypatch.setattr(torch, "compile", functools.partial(real_compile, backend=broken))
    monkeypatch.setattr(module_of_compiled, "missing_compiler", lambda _: None)
    with pytest.raises(StageError, match=r"the assembler is missing.*trainer\.compile=off"):
        run(ON, tmp_path)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("precision", ["64-true", "32-true", "bf16-mixed"])
def test_compiled_for_real_a_training_is_eager_to_rounding_and_resumes_to_the_same_bits(tmp_path, precision):
    changes = {"trainer.precision": precision, "micro_batch_size": 4, "trainer.deterministic": True}
    _, curve = run({**changes, "trainer.compile": "off"}, tmp_path / "eager")
    whole, points = run({**changes, **ON}, tmp_path / "whole")
    close = {"64-true": 1e-9, "32-true": 1e-4, "bf16-mixed": 2e-2}[precision]
    expected = [point["train/loss"] for point in curve]
    assert [point["train/loss"] for point in points] == pytest.approx(expected, rel=close)
    run({**changes, **ON}, tmp_path / "parts", stop_after=5)
    resumed, _ = run(changes, tmp_path / "parts")
    assert_same_bits(resumed.model.state_dict(), whole.model.state_dict())


@pytest.mark.slow
@needs_compiler
def test_two_ranks_train_compiled_as_one_does(tmp_path):
    _, points = run(ON, tmp_path / "single")
    jobs = [{"changes": {**ON, "trainer.devices": 2}, "checkpoints": str(tmp_path / "two")}]
    (double,) = run_under_torchrun(jobs, tmp_path, ranks=2)
    expected = [point["train/loss"] for point in points]
    assert [point["train/loss"] for point in double["points"]] == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def compiled_run(first_finished, small, tmp_path_factory):
    """Return a function that gives a store where compiled pretraining is left to do, and what asks for it."""

    def make(folder: Path) -> tuple[Store, list[str]]:
        shutil.copytree(first_finished / "store", folder, symlinks=True)
        steps = ["trainer.max_steps=60", "checkpoint_every_steps=5", "only=[pretrain]", "trainer.compile=on"]
        return Store(folder), [*small, *steps, "tracking.mode=off", "executor.stale_after_s=3"]

    return make


@pytest.mark.slow
@needs_compiler
def test_killed_while_it_compiles_and_while_it_trains_a_run_leaves_no_process_and_ends_in_the_same_bits(
    compiled_run, tmp_path
):
    calm, overrides = compiled_run(tmp_path / "calm")
    process = start(calm.root, overrides)
    assert process.wait(timeout=300) == 0, process.stderr.read()
    store, overrides = compiled_run(tmp_path / "killed")

    def compilers() -> list[psutil.Process]:
        return [p for p in processes_of(store.root) if "cc1plus" in p.name()]

    moments = [
        compilers,
        lambda: any(store.root.glob("scratch/*/*/work/checkpoints/step-*.ckpt")),
    ]
    for victim, moment in zip(("parent", "worker"), moments, strict=True):
        process = start(store.root, overrides)
        wait_until(moment, timeout_s=200)
        pid = process.pid
        if victim == "worker":
            pid = processes_of(store.root, "lmexp.core.running.worker")[0].pid
        os.kill(pid, signal.SIGKILL)
        process.wait(timeout=60)
        wait_until(lambda: not processes_of(store.root), timeout_s=10)
        time.sleep(1)
        assert processes_of(store.root) == []
    process = start(store.root, overrides)
    assert process.wait(timeout=300) == 0, process.stderr.read()
    assert weights_of(store) == weights_of(calm)
    (record,) = [r for r in store.records("pretrain") if r.data["identity"]["trainer"]["max_steps"] == 60]
    assert len(record.data["segments"]) == 2
    assert all(s["choices"]["compile"].startswith("on, since") for s in record.data["segments"])
    assert record.data["segments"][-1]["cpu_seconds"] > 0
