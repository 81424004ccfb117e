"""A number that is not finite, wherever it comes from, ends training before it is kept or published."""

import re

import pytest
import torch

from lmexp.errors import Diverged
from lmexp.models.finite import first_not_finite
from lmexp.training.checkpoints import newest_checkpoint
from lmexp.training.optimization.optimizers import MuonAdamW
from lmexp.training.validation import Validation
from tests.training.pretrain_runs import infinite_gradient, run

SELDOM = {"trainer.log_every_n_steps": 100, "trainer.precision": "32-true", "checkpoint_every_steps": 4}


def saved(path):
    return torch.load(path, weights_only=True)


def numbers(checkpoint):
    """Every tensor of a checkpoint's weights and optimizer, by name."""
    yield from checkpoint["state_dict"].items()
    for number, state in checkpoint["optimizer_states"][0]["state"].items():
        yield from ((f"{number} {key}", value) for key, value in state.items() if torch.is_tensor(value))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"micro_batch_size": 3},
        {"trainer.precision": "bf16-mixed"},
        {"optimizer.name": "muon"},
        {"trainer.gradient_clip_val": None},
    ],
    ids=["whole batches", "accumulation", "mixed precision", "muon", "no clipping"],
)
def test_a_gradient_that_is_not_finite_at_a_finite_loss_leaves_the_checkpoint_before_it(tmp_path, changes):
    for _ in range(2):  # the same command goes on from there and fails again, as it says
        with (
            infinite_gradient(7),
            pytest.raises(Diverged, match=r"a gradient was not finite by step 8.* fail there again"),
        ):
            run({**SELDOM, **changes}, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000004.ckpt"]
        assert first_not_finite(dict(numbers(saved(tmp_path / "step-00000004.ckpt")))) is None


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"checkpoint_every_steps": 100}, 11),
        ({"checkpoint_every_steps": 100, "publish_steps": [3]}, 2),
        ({"checkpoint_every_steps": 100, "validation_every_steps": 5, "publish": "best"}, 4),
        ({"checkpoint_every_steps": 100, "trainer.log_every_n_steps": 6}, 5),
    ],
    ids=["the last step", "a published step", "a validated step", "a point of the curve"],
)
def test_it_is_found_at_the_step_at_which_it_would_first_be_kept_or_shown(tmp_path, changes, step):
    with infinite_gradient(step), pytest.raises(Diverged, match=f"by step {step + 1}"):
        run({**SELDOM, **changes}, tmp_path)
    assert list(tmp_path.glob("*")) == []


def test_an_optimizer_that_is_no_longer_finite_is_not_kept(tmp_path, monkeypatch):
    original = MuonAdamW.step

    def overflowing(self, closure=None):
        result = original(self, closure)
        states = list(self.state.values())
        if int(states[0]["step"]) == 7:
            states[3]["exp_avg_sq"].flatten()[1] = torch.inf  # its weight stands still from now on
        return result

    monkeypatch.setattr(MuonAdamW, "step", overflowing)
    message = r"the optimizer's exp_avg_sq of [\w.]+ was no longer finite after step 8"
    with pytest.raises(Diverged, match=message):
        run(SELDOM, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000004.ckpt"]


@pytest.mark.parametrize("max_steps", [8, 12], ids=["a finished training", "one that goes on"])
@pytest.mark.parametrize("part", ["weights", "optimizer"])
def test_a_checkpoint_that_is_not_finite_is_not_gone_on_from(tmp_path, part, max_steps):
    changes = {**SELDOM, "trainer.max_steps": 8}
    run(changes, tmp_path)
    step, path = newest_checkpoint(tmp_path)
    state = saved(path)
    if part == "weights":
        next(iter(state["state_dict"].values())).flatten()[0] = torch.nan
    else:
        state["optimizer_states"][0]["state"][2]["exp_avg"].flatten()[0] = torch.nan
    torch.save(state, path)
    with pytest.raises(Diverged, match=f"was no longer finite after step {step}"):
        run({**changes, "trainer.max_steps": max_steps}, tmp_path)


def test_a_validation_loss_that_is_not_finite_ends_training_before_its_step_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Validation, "_score", lambda *_: torch.tensor([torch.nan, 1.0]))
    changes = {**SELDOM, "validation_every_steps": 4, "publish": "best"}
    with pytest.raises(Diverged, match="the validation loss became nan at step 4"):
        run(changes, tmp_path)
    assert list(tmp_path.glob("*")) == []


@pytest.mark.parametrize(
    ("changes", "remedies"),
    [
        ({}, "lower optimizer.lr (now 0.01) or lengthen schedule.warmup_steps (now 3)."),
        (
            {
                "trainer.precision": "bf16-mixed",
                "trainer.gradient_clip_val": None,
                "optimizer.name": "muon",
                "optimizer.embedding_lr": 0.5,
            },
            "lower optimizer.lr (now 0.01), lower optimizer.muon_lr (now 0.02), lower optimizer.embedding_lr "
            "(now 0.5), lengthen schedule.warmup_steps (now 3), set trainer.gradient_clip_val=1.0 (now null) "
            "or try trainer.precision=32-true (now bf16-mixed).",
        ),
    ],
)
def test_the_sentence_names_the_settings_that_may_help(tmp_path, changes, remedies):
    with infinite_gradient(0), pytest.raises(Diverged, match=re.escape(remedies)):
        run({**changes, "trainer.max_steps": 3}, tmp_path)
