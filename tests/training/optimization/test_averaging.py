"""Averages of weights: against means of the weights that stopped trainings end with, and their triggers."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import ConfigError
from lmexp.training.optimization.averaging import Averaging
from lmexp.training.snapshots import load_snapshot
from lmexp.training.validation import Validation
from tests.training.pretrain_runs import held_out, run, tiny

SGD = {
    "model": {"architecture": "rnn", "num_layers": 1, "d_model": 8},
    "sample_length": 8,
    "optimizer": {"name": "sgd", "lr": 2.0, "weight_decay": 0.01},
    "schedule": {"name": "stairs", "hold_steps": 6, "stair_steps": 4},
    "checkpoint_every_steps": 1,
}
FROM = {**SGD, "averaging": {"from_step": 7}}
LOOKS = {"validation_every_steps": 1, "validation_samples": 20}


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """Return the weights after each of the last steps, of a training that averages nothing."""
    steps = (8, 9, 10, 11, 12)
    result, points = run({**SGD, "publish_steps": steps}, tmp_path_factory.mktemp("plain"))
    weights = {}
    for step in steps:
        load_snapshot(result.model, result.snapshots[step])
        weights[step] = {name: p.detach().clone() for name, p in result.model.named_parameters()}
    return weights, points


def mean(weights, steps):
    return {name: torch.stack([weights[step][name] for step in steps]).mean(dim=0) for name in weights[8]}


def named(model):
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_what_is_published_is_the_mean_and_training_goes_on_as_without_it(after, tmp_path):
    weights, plain = after
    result, points = run({**FROM, "publish_steps": (7, 10)}, tmp_path)
    torch.testing.assert_close(named(result.model), mean(weights, range(8, 13)), rtol=1e-12, atol=1e-14)
    assert [p["train/loss"] for p in points] == [p["train/loss"] for p in plain]
    assert result.metrics["averaged_steps"] == 5
    load_snapshot(result.model, result.snapshots[10])
    torch.testing.assert_close(named(result.model), mean(weights, range(8, 11)), rtol=1e-12, atol=1e-14)


def test_a_resumed_training_has_the_same_average_to_the_bit(tmp_path):
    changes = {**SGD, **LOOKS, "averaging": {"patience": 1}, "optimizer": {"name": "sgd", "lr": 8.0}}
    whole, curve = run(changes, tmp_path / "whole")
    assert 0 < whole.metrics["averaged_steps"] < 12, "else this test shows nothing"
    again = []
    for stop_after in (3, 7, 10, None):
        result, points = run(changes, tmp_path / "parts", stop_after)
        again += points
    assert [p["validation/loss"] for p in again] == [p["validation/loss"] for p in curve]
    assert result.metrics["averaged_steps"] == whole.metrics["averaged_steps"]
    ours, theirs = named(result.model), named(whole.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_validation_and_the_best_weights_are_those_of_the_average(after, tmp_path):
    weights, _ = after
    changes = {**FROM, **LOOKS, "publish": "best"}
    result, points = run(changes, tmp_path)
    best = result.metrics["best_step"]
    assert best > 7, "else this test shows nothing"
    torch.testing.assert_close(named(result.model), mean(weights, range(8, best + 1)), rtol=1e-12, atol=1e-14)
    config = tiny(**changes)
    objective = config.objective.make(vocab_size=23, eos_token_id=0, documents=False)
    trainer = SimpleNamespace(
        global_rank=0,
        world_size=1,
        strategy=SimpleNamespace(reduce=lambda sums, **_: sums),
        precision_plugin=SimpleNamespace(val_step_context=torch.no_grad),
    )
    module = SimpleNamespace(
        model=result.model,
        trainer=trainer,
        device=torch.device("cpu"),
        training=False,
        eval=bool,
        train=bool,
    )
    found = Validation(config, held_out(config), objective)(module)
    assert found["validation/loss"] == pytest.approx(points[best - 1]["validation/loss"], rel=1e-12)


@given(st.lists(st.floats(0, 9), max_size=12), st.integers(0, 4))
def test_averaging_begins_at_the_first_loss_above_one_of_those_before_the_last(losses, patience):
    looks = iter(losses)
    config = tiny(**LOOKS, averaging={"patience": patience})
    averaging = Averaging(config, lambda _module: {"validation/loss": next(looks)})
    expected = None
    for k in range(len(losses)):
        worse = [before for before in losses[: max(0, k - patience)] if losses[k] > before]
        if worse and expected is None:
            expected = k + 1
        module = SimpleNamespace(model=torch.nn.Linear(1, 1), trainer=SimpleNamespace(global_step=k + 1))
        averaging.validate(module)
    assert averaging.trigger == expected


@pytest.mark.parametrize(
    ("averaging", "sentence"),
    [
        (
            {"from_step": 3, "patience": 2},
            r"from_step \(3\) or where patience \(2\) .* set one of them",
        ),
        ({"patience": 2}, r"averaging\.patience needs the validation loss; set validation_every_steps"),
    ],
)
def test_what_contradicts_itself_is_refused(averaging, sentence):
    with pytest.raises(ConfigError, match=sentence):
        tiny(averaging=averaging)
