"""Which weights are published: the last, the best, and those of chosen steps, also after a kill."""

import pytest
import torch
from safetensors.torch import load_file

from lmexp.errors import ConfigError
from lmexp.models.build import build_model
from lmexp.training.snapshots import load_snapshot
from tests.training.pretrain_runs import VOCAB, run, tiny, train

# So high a rate that the loss goes up and down, and the best step is neither the first nor the last.
BEST = {
    "publish": "best",
    "validation_every_steps": 2,
    "validation_samples": 20,
    "optimizer.lr": 0.3,
    "schedule.warmup_steps": 0,
    "schedule.min_lr_ratio": 1.0,
    "checkpoint_every_steps": 4,
}


class Killed(BaseException):
    pass


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def validated(points):
    return {p["step"]: p["validation/loss"] for p in points if "validation/loss" in p}


def weights_after(step, changes, directory):
    """Return the weights after `step` steps, of a training that was stopped there."""
    result, _ = run(changes, directory, stop_after=step)
    assert result.metrics["steps"] == step
    return result.model.state_dict()


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    return run(BEST, tmp_path_factory.mktemp("best"))


def test_the_best_weights_are_those_of_the_lowest_validation_loss(best, tmp_path):
    result, points = best
    losses = validated(points)
    assert list(losses) == [2, 4, 6, 8, 10, 12]
    step = min(losses, key=lambda s: losses[s])
    assert 2 < step < 12, "else this test shows nothing"
    assert result.metrics["best_step"] == step
    assert result.metrics["validation/loss"] == losses[step]
    assert result.metrics["steps"] == 12
    assert_same_bits(result.model.state_dict(), weights_after(step, BEST, tmp_path))


@pytest.mark.parametrize("kill_at", [3, 6, 8, 9, 12])
def test_killed_after_any_step_the_best_weights_are_the_same_bits(best, tmp_path, kill_at):
    whole, curve = best

    def die(point):
        if point["step"] == kill_at:
            raise Killed

    with pytest.raises(Killed):
        train(tiny(**BEST), tmp_path, log=die)
    result, points = run(BEST, tmp_path)
    assert validated(points).items() <= validated(curve).items()
    assert result.metrics["best_step"] == whole.metrics["best_step"]
    assert result.metrics["validation/loss"] == whole.metrics["validation/loss"]
    assert_same_bits(result.model.state_dict(), whole.model.state_dict())


def test_a_finished_training_publishes_the_best_weights_again_and_leaves_nothing_else(best, tmp_path):
    first, _ = run(BEST, tmp_path)
    again, points = run(BEST, tmp_path)
    assert points == []
    assert again.metrics["best_step"] == first.metrics["best_step"]
    assert_same_bits(again.model.state_dict(), best[0].model.state_dict())
    kept = f"step-{first.metrics['best_step']:08d}.safetensors"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([kept, "step-00000012.ckpt"])


def test_chosen_steps_are_published_also_after_a_stop(tmp_path):
    changes = {"publish_steps": [3, 7, 12], "checkpoint_every_steps": 5}
    for directory, stops in (("whole", [None]), ("parts", [4, 9, None])):
        for stop_after in stops:
            result, _ = run(changes, tmp_path / directory, stop_after)
        assert list(result.snapshots) == [3, 7, 12]
        for step, path in result.snapshots.items():
            assert set(load_file(path)) == {name for name, _ in result.model.named_parameters()}
            model = build_model(tiny().model, VOCAB).double()
            load_snapshot(model, path)
            if step == 12:
                expected = result.model.state_dict()
            else:
                expected = weights_after(step, {}, tmp_path / f"{directory} to {step}")
            assert_same_bits(model.state_dict(), expected)


def test_the_newest_checkpoints_stay(tmp_path):
    run({"checkpoint_every_steps": 2, "keep_checkpoints": 3}, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"step-{n:08d}.ckpt" for n in (8, 10, 12)]
    (tmp_path / "step-00000012.ckpt").unlink()
    _, points = run({"checkpoint_every_steps": 2, "keep_checkpoints": 1}, tmp_path)
    assert [p["step"] for p in points] == [11, 12]
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000012.ckpt"]


def test_steps_after_the_last_cannot_be_published():
    with pytest.raises(ConfigError, match=r"publish_steps \(13\) must be at most trainer.max_steps \(12\)"):
        tiny(publish_steps=[1, 13])
    with pytest.raises(ConfigError, match=r"publish_steps must increase, was \[5, 5\]"):
        tiny(publish_steps=[5, 5])
