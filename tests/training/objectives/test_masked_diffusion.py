"""Masked diffusion: how much is hidden, what it weighs, and its loss as a bound that lies over the truth."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.values.config import build
from lmexp.errors import ConfigError
from lmexp.models.build import build_model
from lmexp.packing.samples import IGNORED_LABEL, StreamSamples
from lmexp.scoring.scorer import scorer_of
from lmexp.training.config import PretrainConfig
from lmexp.training.objectives.config import MaskedDiffusionConfig
from lmexp.training.objectives.noise import Noise
from tests.training.pretrain_runs import VOCAB, ArrayTokens, noise, run, tiny, train

EOS, MASK = 0, VOCAB
SHAPE = {
    "architecture": "diffusion",
    "context_length": 8,
    "num_layers": 1,
    "num_heads": 2,
    "num_kv_heads": 1,
    "d_model": 16,
}
CHANGES = {"model": SHAPE, "objective": {"name": "masked_diffusion"}}


def objective(documents=False, vocab_size=VOCAB):
    return MaskedDiffusionConfig().make(vocab_size=vocab_size, eos_token_id=EOS, documents=documents)


@given(st.lists(st.integers(0, 4), min_size=9, max_size=60), st.integers(0, 99))
def test_what_is_hidden_weighs_as_much_as_the_text_and_never_ends_one(ids, step):
    samples = StreamSamples(ArrayTokens(np.array(ids)), 8)
    indices = np.arange(samples.num_samples)
    batch = objective().batch(samples, indices, Noise(3, step))
    total = 0
    parts = (batch["input_ids"], batch["labels"], batch["weights"])
    for sample, inputs, labels, weight in zip(indices, *parts, strict=True):
        original = torch.from_numpy(samples.read(int(sample))[0])
        hidden = labels != IGNORED_LABEL
        num_text = int((original != EOS).sum())
        assert (inputs[hidden] == MASK).all()
        assert torch.equal(labels[hidden], original[hidden])
        assert torch.equal(inputs[~hidden], original[~hidden])
        assert not (original[hidden] == EOS).any()
        assert float(weight) * int(hidden.sum()) == pytest.approx(num_text)
        total += num_text
    assert objective().counts(samples, indices, Noise(3, step)) == {"masked_diffusion": max(1, total)}


def test_every_number_of_hidden_tokens_and_every_place_is_as_likely():
    samples = StreamSamples(ArrayTokens(np.arange(9 * 4000) % 7 + 1), 8)
    labels = objective().batch(samples, np.arange(4000), Noise(0, 0))["labels"].numpy()
    hidden = labels != IGNORED_LABEL
    numbers = np.bincount(hidden.sum(axis=1), minlength=9)
    assert numbers[0] == 0
    assert np.abs(numbers[1:] - 500).max() < 4 * math.sqrt(500)
    assert np.ptp(hidden.mean(axis=0)) < 0.05


def test_noise_belongs_to_the_sample_and_the_step_whatever_the_batch():
    samples = StreamSamples(noise(), 8)
    whole = objective().batch(samples, np.array([3, 5, 9]), Noise(1, 4))
    alone = objective().batch(samples, np.array([5]), Noise(1, 4))
    for name, part in alone.items():
        assert torch.equal(whole[name][1:2], part), name
    other = objective().batch(samples, np.array([5]), Noise(1, 5))
    assert not torch.equal(alone["labels"], other["labels"])


@pytest.mark.parametrize("documents", [False, True])
def test_the_mean_of_the_loss_over_its_noise_is_the_mean_over_all_orders(documents):
    length, rounds = 4, 1500
    config = build(PretrainConfig, {"trainer": {"max_steps": 1}, **CHANGES})
    network = build_model(config.model, 4, 2).double().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(3))
    text = [1, 2, 0, 1]
    samples, diffusion = StreamSamples(ArrayTokens(np.array([*text, 1])), length), objective(documents, 3)
    owners = torch.tensor([[0, 0, 1, 1]]) if documents else None
    total = 0.0
    orders = list(itertools.permutations([0, 1, 3]))
    for order in orders:
        ids = torch.tensor([[3, 3, 0, 3]])
        for place in order:
            total -= float(network(ids, owners)[0, place].log_softmax(dim=-1)[text[place]])
            ids[0, place] = text[place]
    found = []
    for step in range(rounds):
        batch = diffusion.batch(samples, np.array([0]), Noise(5, step))
        found.append(float(diffusion.loss(network, batch)["masked_diffusion"]))
        if step < 3:
            each = diffusion.token_nats(network, batch)
            assert each.shape == (length,)
            assert float(each.sum()) == pytest.approx(found[-1])
    error = float(np.std(found) / math.sqrt(rounds))
    assert np.mean(found) == pytest.approx(total / len(orders), abs=4 * error)


def test_training_learns_and_goes_on_exactly_where_it_was_stopped(tmp_path):
    changes = {**CHANGES, "trainer.max_steps": 40, "validation_every_steps": 20}
    whole, points = run(changes, tmp_path / "whole")
    assert points[-1]["validation/loss"] < points[19]["validation/loss"]
    stopped, _ = run(changes, tmp_path / "cut", stop_after=17)
    assert stopped.stopped
    resumed, _ = run(changes, tmp_path / "cut")
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_micro_batches_change_the_loss_by_rounding_alone(tmp_path):
    _, whole = run(CHANGES, tmp_path / "whole")
    _, cut = run({**CHANGES, "micro_batch_size": 3}, tmp_path / "cut")
    for one, other in zip(whole, cut, strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-10)


def chain(num_texts, length, seed):
    """Return texts of a chain over 1..3 that mostly goes on to the next, [n, length], and their nats."""
    first, moves = np.full(3, 1 / 3), np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])
    generator = np.random.default_rng(seed)
    texts, nats = [], []
    for _ in range(num_texts):
        text = [int(generator.choice(3, p=first))]
        total = -math.log(first[text[0]])
        while len(text) < length:
            following = int(generator.choice(3, p=moves[text[-1]]))
            total -= math.log(moves[text[-1]][following])
            text.append(following)
        texts.append(np.array(text) + 1)
        nats.append(total)
    return np.array(texts), np.array(nats)


def test_the_bound_lies_over_the_truth_and_comes_down_to_it_as_training_grows(tmp_path):
    texts, _ = chain(2000, 7, seed=1)
    stream = np.concatenate([np.concatenate(([EOS], text)) for text in texts])
    held_out, truth = chain(200, 7, seed=2)
    found = []
    for steps in (1, 100, 500):
        config = tiny(
            **{
                **CHANGES,
                "model": {**SHAPE, "d_model": 32, "init_std": 0.1},
                "optimizer.lr": 5e-3,
                "global_batch_size": 64,
            },
            **{"trainer.max_steps": steps, "trainer.precision": "32-true", "schedule.warmup_steps": 1},
        )
        model = train(config, tmp_path / str(steps), tokens=ArrayTokens(stream), vocab_size=4).model
        estimates = scorer_of(model, bos_token_id=EOS, draws=32).estimates([((), text) for text in held_out])
        over = np.array([-one.log_probs.sum() for one in estimates]) - truth
        found.append(over.mean() / 7)
        error = over.std() / math.sqrt(len(over)) / 7
        assert found[-1] > -2 * error, "no model has fewer nats than the truth"
    assert found[0] > found[1] > found[2]
    assert found[2] < 0.06


def test_an_objective_that_the_model_cannot_do_is_refused_with_one_that_it_can():
    with pytest.raises(
        ConfigError,
        match=r"objective=next_token .*architecture=diffusion .* set objective=masked_diffusion\.",
    ):
        tiny(model=SHAPE)
    with pytest.raises(
        ConfigError, match=r"masked_diffusion .*architecture=encoder .* set objective=masked_token\."
    ):
        tiny(**{**CHANGES, "model": {"architecture": "encoder"}})
