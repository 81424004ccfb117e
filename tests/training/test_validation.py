"""Validation in the loop: its numbers against a plain loop, and the training that it must not change."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from lmexp.core.values.config import identity
from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.packing.samples import IGNORED_LABEL, StreamSamples
from lmexp.training.module import PretrainModule
from lmexp.training.objectives.next_token import NextToken
from lmexp.training.validation import HeldOut, Validation, spread
from tests.training.pretrain_runs import VOCAB, ArrayTokens, held_out, run, tiny, train

EVERY_5 = {"validation_every_steps": 5, "validation_samples": 6}
SPREAD = [7, 21, 36, 50, 65, 79]
"""The middles of six equal parts of the 87 samples of `held_out`."""


def plain_metrics(model, config):
    """Score the samples one by one."""
    data = held_out(config)
    nats = text_nats = labels = size = 0
    for index in SPREAD:
        inputs, targets = (torch.from_numpy(part) for part in data.samples.read(index))
        nll = functional.cross_entropy(model(inputs[None])[0], targets, reduction="none").tolist()
        for loss, target in zip(nll, targets.tolist(), strict=True):
            nats, labels, size = nats + loss, labels + 1, size + int(data.token_bytes[target])
            text_nats += loss if data.token_bytes[target] else 0
    return {
        "validation/loss": nats / labels,
        "validation/bits_per_byte": text_nats / size / math.log(2),
    }


def test_points_carry_the_loss_and_the_bits_per_byte_of_samples_of_the_whole_split(tmp_path):
    result, points = run(EVERY_5, tmp_path)
    with torch.no_grad():
        expected = plain_metrics(result.model, tiny(**EVERY_5))
    assert [p["step"] for p in points if "validation/loss" in p] == [5, 10, 12]
    for name, value in expected.items():
        assert points[-1][name] == pytest.approx(value, rel=1e-12)
        assert result.metrics[name] == points[-1][name]


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_samples_are_spread_over_the_split_with_equal_distances_and_are_all_where_there_are_few(count, all_):
    found = spread(min(count, all_), SimpleNamespace(num_samples=all_)).tolist()
    if count >= all_:
        assert found == list(range(all_))
    else:
        assert set(np.diff(found)) <= {all_ // count, -(-all_ // count)}
        assert abs(found[0] - (all_ - 1 - found[-1])) <= 1


def test_every_source_of_a_split_has_its_share_of_the_validation_samples():
    sizes = {"first": 700, "second": 200, "third": 100}
    sources = np.repeat(list(sizes), list(sizes.values()))
    found = sources[spread(64, SimpleNamespace(num_samples=1000))].tolist()
    assert {name: found.count(name) for name in sizes} == {"first": 45, "second": 13, "third": 6}


def test_validation_adds_points_where_the_curve_has_none(tmp_path):
    _, points = run({**EVERY_5, "trainer.log_every_n_steps": 4, "micro_batch_size": 6}, tmp_path)
    assert [p["step"] for p in points] == [4, 5, 8, 10, 12]
    assert all("train/loss" in p and p["tokens_per_second"] > 0 for p in points)


@pytest.mark.parametrize("precision", ["64-true", "32-true", "bf16-mixed"])
def test_weights_and_random_state_are_the_same_bits_with_and_without_it(tmp_path, precision):
    changes = {"trainer.precision": precision, "micro_batch_size": 4}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    with_it, points = run({**changes, **EVERY_5}, tmp_path / "with")
    assert torch.equal(torch.get_rng_state(), state)
    without, plain = run(changes, tmp_path / "without")
    assert [p["train/loss"] for p in points] == [p["train/loss"] for p in plain]
    for name, weight in without.model.state_dict().items():
        assert torch.equal(weight, with_it.model.state_dict()[name]), name


def test_a_resumed_training_has_the_same_points(tmp_path):
    whole, curve = run(EVERY_5, tmp_path / "whole")
    _, first = run(EVERY_5, tmp_path / "parts", stop_after=7)
    result, rest = run(EVERY_5, tmp_path / "parts")
    for name in ("validation/loss", "validation/bits_per_byte"):
        assert [p.get(name) for p in first + rest] == [p.get(name) for p in curve]
        assert result.metrics[name] == whole.metrics[name]


class FakeTrainer:
    """One rank of several, whose sums are kept instead of being added up."""

    def __init__(self, rank, world_size):
        self.global_rank, self.world_size = rank, world_size
        self.precision_plugin = SimpleNamespace(val_step_context=torch.no_grad)
        self.strategy = SimpleNamespace(reduce=self.keep)

    def keep(self, sums, reduce_op):
        assert reduce_op == "sum"
        self.sums = sums
        return sums


@pytest.mark.parametrize("document_masking", [False, True])
def test_the_sums_are_the_same_bits_at_any_world_size_and_the_mode_is_restored(document_masking):
    config = tiny(validation_samples=15, document_masking=document_masking)
    objective = NextToken(0 if document_masking else None)
    module = PretrainModule(config, build_model(config.model, VOCAB), objective).train()
    validation = Validation(config, held_out(config), objective)

    def sums(world_size):
        trainers = [FakeTrainer(rank, world_size) for rank in range(world_size)]
        for trainer in trainers:
            module._trainer = trainer
            validation(module)
            assert module.training
            assert module.model.training
        return sum(trainer.sums for trainer in trainers)

    alone = sums(1)
    assert alone.all()
    assert torch.equal(sums(2), alone)
    assert torch.equal(sums(3), alone)


def test_documents_that_stand_alone_in_training_do_so_in_validation(tmp_path):
    _, masked = run({**EVERY_5, "document_masking": True}, tmp_path / "masked")
    result, _ = run({**EVERY_5, "document_masking": True}, tmp_path / "masked")
    with torch.no_grad():
        unmasked = plain_metrics(result.model, tiny(**EVERY_5))
    assert abs(masked[-1]["validation/loss"] / unmasked["validation/loss"] - 1) > 1e-6


def test_ignored_labels_do_not_count():
    class Padded:
        num_samples, context_length = 3, 8

        def read(self, index):
            inputs = np.arange(8) + index
            return inputs, np.where(np.arange(8) < 5, inputs + 1, IGNORED_LABEL)

        def num_valid(self, indices):
            return 5 * len(indices)

    config = tiny(validation_samples=50)
    data = HeldOut(samples=Padded(), token_bytes=np.ones(VOCAB, dtype=np.int64))
    objective = NextToken(None)
    module = PretrainModule(config, build_model(config.model, VOCAB), objective)
    module._trainer = FakeTrainer(0, 1)
    found = Validation(config, data, objective)(module)
    rows = torch.arange(8) + torch.arange(3)[:, None]
    with torch.no_grad():
        loss = functional.cross_entropy(module.model(rows)[:, :5].flatten(0, 1), rows[:, 1:6].flatten())
    assert found["validation/loss"] == pytest.approx(float(loss), rel=1e-6)
    assert found["validation/bits_per_byte"] == pytest.approx(float(loss) / math.log(2), rel=1e-6)


def test_a_validation_split_without_text_is_refused_in_a_sentence(tmp_path):
    config = tiny(**EVERY_5)
    data = HeldOut(
        samples=StreamSamples(ArrayTokens(np.zeros(100, dtype=np.int64)), 8), token_bytes=np.arange(VOCAB)
    )
    with pytest.raises(DataError, match=r"the 6 samples .* hold no text; raise validation_samples \(now 6\)"):
        Validation(config, data, NextToken(None))


def test_it_is_off_by_default_and_then_leaves_the_identity_as_it_was():
    assert (
        not {"validation_every_steps", "validation_samples", "publish", "publish_steps"}
        & identity(tiny()).keys()
    )
    assert "revised" not in identity(tiny())
    assert identity(tiny(**EVERY_5))["validation_every_steps"] == 5
    assert identity(tiny(**EVERY_5))["revised"] == {"validation": 2}
    assert train.__defaults__ is None
    with pytest.raises(ConfigError, match=r"publish=best needs the validation loss"):
        tiny(publish="best")
