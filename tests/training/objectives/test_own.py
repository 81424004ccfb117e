"""An objective of a user's own file, as its page has it: made, trained, identified, read without the file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lmexp.core.graph.compose import compose
from lmexp.core.graph.extensions import activate
from lmexp.core.graph.plan import make_plan
from lmexp.core.records.runs import find_run
from lmexp.core.store.store import Store
from lmexp.core.values.config import identity
from lmexp.errors import ConfigError
from lmexp.models.build import build_model
from lmexp.packing.samples import StreamSamples
from lmexp.training.objectives.config import OBJECTIVES
from lmexp.training.objectives.noise import Noise
from tests.training.pretrain_runs import VOCAB, noise, run, tiny

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "add-an-objective.md"
CHANGES = {"objective": {"name": "smoothed", "smoothing": 0.3}}


@pytest.fixture
def smoothed(tmp_path):
    """The objective of the page, active for one test."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "smoothed.py"
    file.write_text(block)
    activate([file])
    yield file
    activate([])


@pytest.mark.parametrize("documents", [False, True])
def test_the_loss_of_the_page_is_torchs_cross_entropy_with_label_smoothing(smoothed, documents):
    config = OBJECTIVES.kinds["smoothed"](smoothing=0.3)
    objective = config.make(vocab_size=VOCAB, eos_token_id=0, documents=documents)
    samples, indices = StreamSamples(noise(), 8), np.arange(6)
    batch = objective.batch(samples, indices, Noise(0, 0))
    network = build_model(tiny().model, VOCAB, 2).double()
    logits = network(batch["input_ids"], batch.get("document_ids")).flatten(0, 1)
    expected = functional.cross_entropy(
        logits, batch["labels"].flatten(), reduction="sum", label_smoothing=0.3
    )
    (found,) = objective.loss(network, batch).values()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
    assert objective.counts(samples, indices, Noise(0, 0)) == {"next_token": 48}


def test_it_trains_and_goes_on_exactly_where_it_was_stopped(smoothed, tmp_path):
    whole, points = run({**CHANGES, "trainer.max_steps": 20}, tmp_path / "whole")
    assert points[-1]["train/loss"] < points[0]["train/loss"]
    stopped, _ = run({**CHANGES, "trainer.max_steps": 20}, tmp_path / "cut", stop_after=7)
    assert stopped.stopped
    resumed, _ = run({**CHANGES, "trainer.max_steps": 20}, tmp_path / "cut")
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_its_keys_and_its_code_are_identity_of_the_training_and_what_follows(smoothed):
    words = ["+experiment=tiny", f"extensions=[{smoothed}]", "objective.name=smoothed"]
    assert identity(tiny(**CHANGES))["objective"] == {"name": "smoothed", "smoothing": 0.3}

    def fingerprints():
        stages = make_plan(compose(words).handles, Store(smoothed.parent / "store")).stages
        return {planned.name: planned.fingerprint for planned in stages}

    before = fingerprints()
    smoothed.write_text(smoothed.read_text().replace("1 - self._smoothing", "1.0 - self._smoothing"))
    after = fingerprints()
    unchanged = {name for name in before if before[name] == after[name]}
    assert unchanged == {"corpus", "tokenizer", "packing", "baseline"}


@pytest.mark.parametrize(
    ("wrong", "name"),
    [('    requires = frozenset({"next_token"})\n', "requires"), ("make", "make")],
)
def test_one_that_does_not_say_what_it_is_is_refused_when_its_file_is_read(smoothed, wrong, name):
    file = smoothed.with_name("half.py")
    file.write_text(smoothed.read_text().replace(wrong, "" if wrong.endswith("\n") else "makes"))
    with pytest.raises(
        ConfigError, match=rf"half\.py registers SmoothedConfig as name 'smoothed', .* defines no '{name}'"
    ):
        activate([file])


def test_a_network_that_cannot_do_it_is_refused_with_an_objective_that_it_can(smoothed):
    encoder = {"architecture": "encoder", "context_length": 8, "num_heads": 2, "d_model": 16}
    with pytest.raises(
        ConfigError, match=r"objective=smoothed .*architecture=encoder .* set objective=masked_token"
    ):
        tiny(model=encoder, **CHANGES)


@pytest.mark.slow
def test_what_it_trained_is_read_without_its_file(smoothed):
    folder = smoothed.parent
    (folder / "text.txt").write_text("\n\n".join(f"one two three {i} " * 20 for i in range(60)))
    words = [
        "extensions=[smoothed.py]",
        "objective.name=smoothed",
        "corpus=local",
        "corpus.files=[text.txt]",
        "corpus.max_document_bytes=512",
        "trainer.max_steps=3",
        "only=[perplexity]",
        "tracking.mode=off",
    ]
    for command in (
        ["-m", "lmexp.run", "+experiment=tiny", *words],
        ["-m", "lmexp.cli", "generate", "last", "max_new_tokens=3"],
    ):
        done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    metrics = find_run(Store(folder / "outputs"), "last").metrics
    assert 0 < metrics["perplexity/test/bits_per_byte"] < 16
