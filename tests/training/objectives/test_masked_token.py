"""Hidden tokens: how many, which, by what, and the loss of them alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lmexp.core.values.config import build, identity
from lmexp.errors import ConfigError
from lmexp.models.build import build_model
from lmexp.packing.samples import IGNORED_LABEL, StreamSamples
from lmexp.training.config import PretrainConfig
from lmexp.training.objectives.config import MaskedTokenConfig
from lmexp.training.objectives.noise import Noise
from tests.training.pretrain_runs import VOCAB, ArrayTokens, noise, run, tiny

EOS, MASK = 0, VOCAB
ENCODER = {"architecture": "encoder", "context_length": 8, "num_layers": 1, "num_heads": 2, "d_model": 16}
CHANGES = {"model": ENCODER, "objective": {"name": "masked_token", "rate": 0.3}}


def objective(documents=False, **settings):
    return MaskedTokenConfig(**settings).make(vocab_size=MASK, eos_token_id=EOS, documents=documents)


@given(st.lists(st.integers(0, 4), min_size=9, max_size=60), st.floats(0.01, 1), st.integers(0, 99))
def test_of_each_sample_so_many_tokens_are_predicted_and_never_an_end_of_text(ids, rate, step):
    samples = StreamSamples(ArrayTokens(np.array(ids)), 8)
    indices = np.arange(samples.num_samples)
    hides = objective(rate=rate)
    batch = hides.batch(samples, indices, Noise(3, step))
    total = 0
    for sample, inputs, labels in zip(indices, batch["input_ids"], batch["labels"], strict=True):
        original = torch.from_numpy(samples.read(int(sample))[0])
        predicted = labels != IGNORED_LABEL
        num_text = int((original != EOS).sum())
        assert int(predicted.sum()) == (min(num_text, max(1, round(rate * num_text))))
        assert torch.equal(labels[predicted], original[predicted])
        assert torch.equal(inputs[~predicted], original[~predicted])
        assert not (original[predicted] == EOS).any()
        total += int(predicted.sum())
    assert hides.counts(samples, indices, Noise(3, step)) == {"masked_token": max(1, total)}


def test_what_stands_in_for_a_token_has_the_shares_that_are_asked_for():
    samples = StreamSamples(noise(80_000), 8)
    indices = np.arange(9_000)
    hides = objective(rate=0.5, masked=0.7, replaced=0.2)
    batch = hides.batch(samples, indices, Noise(0, 1))
    originals = np.stack([samples.read(int(i))[0] for i in indices])
    predicted = batch["labels"].numpy() != IGNORED_LABEL
    inputs = batch["input_ids"].numpy()
    share = (inputs[predicted] == MASK).mean()
    assert share == pytest.approx(0.7, abs=0.01)
    others = inputs[predicted & (inputs != MASK)] == originals[predicted & (inputs != MASK)]
    same_by_chance = 0.2 * np.mean([1 / VOCAB])
    assert others.mean() * 0.3 == pytest.approx(0.1 + same_by_chance, abs=0.01)
    # any place of a sample is as likely as any other
    per_place = predicted.sum(axis=0) / (originals != EOS).sum(axis=0)
    assert np.ptp(per_place) < 0.04


def test_noise_belongs_to_the_sample_and_the_step_whatever_the_batch():
    samples, hides = StreamSamples(noise(), 8), objective()
    whole = hides.batch(samples, np.array([3, 5, 9]), Noise(1, 4))
    alone = hides.batch(samples, np.array([5]), Noise(1, 4))
    assert torch.equal(whole["input_ids"][1:2], alone["input_ids"])
    assert not torch.equal(alone["labels"], hides.batch(samples, np.array([5]), Noise(1, 5))["labels"])
    assert not torch.equal(alone["labels"], hides.batch(samples, np.array([5]), Noise(2, 4))["labels"])


@pytest.mark.parametrize("documents", [False, True])
def test_the_loss_is_the_cross_entropy_of_the_predicted_places(documents):
    config = build(PretrainConfig, {"trainer": {"max_steps": 1}, **CHANGES})
    network = build_model(config.model, VOCAB + 1, 2).double()
    samples, hides = StreamSamples(noise(), 8), objective(documents, rate=0.4)
    batch = hides.batch(samples, np.arange(6), Noise(0, 0))
    logits = network(batch["input_ids"], batch.get("document_ids"))
    expected = functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), reduction="sum")
    torch.testing.assert_close(hides.loss(network, batch)["masked_token"], expected)
    each = hides.token_nats(network, batch)
    assert each.shape == (48,)
    torch.testing.assert_close(each.sum(), expected)


def test_training_learns_and_goes_on_exactly_where_it_was_stopped(tmp_path):
    whole, points = run({**CHANGES, "trainer.max_steps": 40}, tmp_path / "whole")
    assert points[-1]["train/loss"] < points[0]["train/loss"] - 0.1
    stopped, _ = run({**CHANGES, "trainer.max_steps": 40}, tmp_path / "cut", stop_after=17)
    assert stopped.stopped
    resumed, _ = run({**CHANGES, "trainer.max_steps": 40}, tmp_path / "cut")
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_micro_batches_change_the_loss_by_rounding_alone(tmp_path):
    _, whole = run(CHANGES, tmp_path / "whole")
    _, cut = run({**CHANGES, "micro_batch_size": 3}, tmp_path / "cut")
    for one, other in zip(whole, cut, strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-10)


def test_validation_hides_the_same_tokens_each_time_and_has_no_bits_per_byte(tmp_path):
    changes = {**CHANGES, "validation_every_steps": 5, "optimizer.lr": 1e-9}
    _, points = run(changes, tmp_path)
    found = [point["validation/loss"] for point in points if "validation/loss" in point]
    assert len(found) > 2
    assert found == pytest.approx([found[0]] * len(found), rel=1e-6)
    assert "validation/bits_per_byte" not in points[4]


def test_an_objective_that_the_model_cannot_do_is_refused_with_one_that_it_can():
    with pytest.raises(
        ConfigError, match=r"objective=next_token .*architecture=encoder .* set objective=masked_token"
    ):
        tiny(model=ENCODER)
    with pytest.raises(
        ConfigError, match=r"objective=masked_token .*architecture=qwen3 .* set objective=next_token"
    ):
        tiny(objective={"name": "masked_token"})
    with pytest.raises(ConfigError, match=r"masked \(0.8\) and replaced \(0.3\)"):
        MaskedTokenConfig(replaced=0.3)


def test_next_token_is_left_out_of_an_identity_and_another_objective_is_in_it():
    assert "objective" not in identity(tiny())
    assert identity(tiny(**CHANGES))["objective"] == {
        "name": "masked_token",
        "rate": 0.3,
        "masked": 0.8,
        "replaced": 0.1,
    }
