"""Pretraining on one rank: against a plain loop, through stops and resumes, and when it goes wrong."""

import gc
import math
import signal
import time

import numpy as np
import pytest
import torch
from torch.nn import functional

from lmexp.core.values.config import replace
from lmexp.errors import DataError, StageError
from lmexp.models.families.qwen3.network import GPT
from lmexp.packing.batches import BatchOrder
from lmexp.packing.samples import RowSamples, StreamSamples
from lmexp.training.optimization.schedules import lr_ratio
from tests.training.pretrain_runs import VOCAB, ArrayTokens, noise, run, tiny, train


def losses(points):
    return [point["train/loss"] for point in points]


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def plain_loop(config):
    """Train as `pretrain` should: whole batches, torch's own AdamW, no Lightning."""
    tokens = noise()
    model = GPT(config.model, VOCAB, seed=config.seed).double()
    length, settings = config.model.context_length, config.optimizer
    order = BatchOrder((tokens.num_tokens - 1) // length, config.global_batch_size, config.seed)
    decayed = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    plain = [p for name, p in model.named_parameters() if p.ndim == 1 or "embed" in name]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        betas=settings.betas,
        eps=settings.eps,
    )
    for step in range(config.trainer.max_steps):
        rows = torch.from_numpy(
            np.stack([tokens.read(i * length, length + 1) for i in order.sample_indices(step)])
        )
        loss = functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5
        for parameter in model.parameters():
            parameter.grad *= min(1.0, (config.trainer.gradient_clip_val or math.inf) / norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * lr_ratio(config.schedule, step, config.trainer.max_steps)
        optimizer.step()
        yield {"train/loss": loss.item(), "grad_norm": norm, "lr": optimizer.param_groups[0]["lr"]}


@pytest.mark.parametrize("clip", [1.0, 0.3, None])
def test_the_curve_is_that_of_a_plain_loop_without_lightning(tmp_path, clip):
    changes = {"trainer.gradient_clip_val": clip, "optimizer.eps": 1e-6}
    _, points = run(changes, tmp_path)
    expected = list(plain_loop(tiny(**changes)))
    for key in ("train/loss", "grad_norm", "lr"):
        # Not tighter: clip_grad_norm_ adds 1e-6 to the norm that it divides by.
        assert [p[key] for p in points] == pytest.approx([e[key] for e in expected], rel=1e-5), key
    assert points[0]["train/loss"] == pytest.approx(expected[0]["train/loss"], rel=1e-12)
    assert max(point["grad_norm"] for point in points) > 0.5, "else clipping shows nothing"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_micro_batches_change_the_curve_by_rounding_alone(tmp_path, optimizer):
    curves = []
    for micro in (None, 4, 1):
        _, points = run({"micro_batch_size": micro, "optimizer.name": optimizer}, tmp_path / str(micro))
        curves.append(losses(points))
    assert curves[1] == pytest.approx(curves[0], rel=1e-9)
    assert curves[2] == pytest.approx(curves[0], rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"micro_batch_size": 3},
        {"trainer.precision": "32-true", "optimizer.name": "muon", "micro_batch_size": 4},
        {"trainer.precision": "bf16-mixed", "checkpoint_every_steps": 2},
    ],
    ids=["whole batches", "accumulation", "muon in fp32", "mixed precision"],
)
def test_a_training_stopped_twice_ends_in_the_same_bits_as_one_that_ran_through(tmp_path, changes):
    whole, curve = run(changes, tmp_path / "whole")
    first, second = sorted(
        np.random.default_rng(len(str(changes))).choice(np.arange(1, 12), 2, replace=False).tolist()
    )
    resumed_curve = []
    for stop_after in (first, second, None):
        result, points = run(changes, tmp_path / "parts", stop_after)
        assert result.stopped == (stop_after is not None)
        assert result.metrics["steps"] == (stop_after or 12)
        resumed_curve += points
    assert [p["step"] for p in resumed_curve] == list(range(1, 13))
    for key in ("train/loss", "lr", "grad_norm", "tokens_seen"):
        assert [p[key] for p in resumed_curve] == [p[key] for p in curve], key
    assert [p["tokens_seen"] for p in curve] == [step * 12 * 8 for step in range(1, 13)]
    assert_same_bits(result.model.state_dict(), whole.model.state_dict())
    assert result.metrics["tokens_seen"] == whole.metrics["tokens_seen"] == 12 * 12 * 8


def test_a_killed_training_goes_on_from_its_newest_checkpoint_to_the_same_bits(tmp_path):
    changes = {"checkpoint_every_steps": 4, "micro_batch_size": 6}
    whole, curve = run(changes, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def die_at_step_7(point):
        if point["step"] == 7:
            raise Killed

    checkpoints = tmp_path / "parts"
    with pytest.raises(Killed):
        train(tiny(**changes), checkpoints, log=die_at_step_7)
    (checkpoints / "step-00000008.tmp").write_bytes(b"half a checkpoint")
    result, points = run(changes, checkpoints)
    assert [p["step"] for p in points] == list(range(5, 13))
    assert losses(points) == losses(curve)[4:]
    assert_same_bits(result.model.state_dict(), whole.model.state_dict())


def test_a_resume_with_another_micro_batch_size_changes_the_curve_by_rounding_alone(tmp_path):
    _, curve = run({}, tmp_path / "whole")
    points = []
    for micro, stop_after in ((4, 5), (12, 7), (3, None)):
        points += run({"micro_batch_size": micro}, tmp_path / "parts", stop_after)[1]
    assert [p["step"] for p in points] == list(range(1, 13))
    assert losses(points) == pytest.approx(losses(curve), rel=1e-9)


def test_only_the_newest_checkpoint_is_kept_and_a_finished_training_is_not_repeated(tmp_path):
    before = time.process_time()
    result, points = run({"checkpoint_every_steps": 4}, tmp_path)
    assert result.metrics["cpu_seconds"] <= time.process_time() - before
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000012.ckpt"]
    again, no_points = run({"checkpoint_every_steps": 4}, tmp_path)
    assert no_points == []
    assert not again.stopped
    assert_same_bits(again.model.state_dict(), result.model.state_dict())
    assert again.metrics["train/loss"] == result.metrics["train/loss"] == points[-1]["train/loss"]
    assert again.metrics["cpu_seconds"] >= result.metrics["cpu_seconds"] * 0.5
    assert set(again.metrics) == set(result.metrics) - {"tokens_per_second"}


def test_a_finished_training_that_is_resumed_reports_what_the_first_did(tmp_path):
    changes = {"checkpoint_every_steps": 4, "validation_every_steps": 5, "validation_samples": 6}
    result, points = run(changes, tmp_path)
    again, _ = run(changes, tmp_path)
    for key in ("steps", "tokens_seen", "parameters", "validation/loss", "validation/bits_per_byte"):
        assert again.metrics[key] == result.metrics[key], key
    assert result.metrics["validation/loss"] == points[-1]["validation/loss"]
    assert (result.metrics["steps"], result.metrics["tokens_seen"]) == (12, 12 * 12 * 8)


class Watched:
    """Samples that remember which of them were read."""

    def __init__(self, samples):
        self.samples, self.indices = samples, []
        self.num_samples, self.context_length = samples.num_samples, samples.context_length

    def read(self, index):
        self.indices.append(index)
        return self.samples.read(index)

    def num_valid(self, indices):
        return self.samples.num_valid(indices)


@pytest.mark.parametrize(("train_samples", "last"), [(7, 6), (12, 11), (None, 186)])
def test_training_reads_the_first_train_samples_each_equally_often_and_no_others(
    tmp_path, train_samples, last
):
    watched = Watched(StreamSamples(noise(), 8))
    train(tiny(train_samples=train_samples, **{"trainer.max_steps": 35}), tmp_path, samples=watched)
    counts = np.bincount(watched.indices)
    assert len(watched.indices) == 35 * 12
    assert len(counts) == last + 1
    assert counts.max() - counts.min() <= 1


def test_one_batch_again_and_again_is_learnt_by_heart(tmp_path):
    changes = {"train_samples": 12, "trainer.max_steps": 60, "optimizer.lr": 3e-2}
    _, points = run(changes, tmp_path / "few")
    _, all_of_it = run({**changes, "train_samples": None}, tmp_path / "all")
    assert points[-1]["train/loss"] < all_of_it[-1]["train/loss"] - 0.5


@pytest.mark.parametrize("max_steps", [1, 2, 3])
def test_a_training_of_few_steps_has_a_rate_too(tmp_path, max_steps):
    result, _ = run({"trainer.max_steps": max_steps, "schedule.warmup_steps": 0}, tmp_path)
    assert result.metrics["tokens_per_second"] > 0


def test_points_are_logged_every_n_steps_and_at_the_last(tmp_path):
    _, points = run({"trainer.log_every_n_steps": 5, "micro_batch_size": 6}, tmp_path)
    assert [p["step"] for p in points] == [5, 10, 12]
    assert [p["tokens_seen"] for p in points] == [5 * 96, 10 * 96, 12 * 96]
    assert all(p["tokens_per_second"] > 0 for p in points)
    _, every = run({"micro_batch_size": 6}, tmp_path)
    assert losses(points) == [losses(every)[i - 1] for i in (5, 10, 12)]


@pytest.fixture
def thawed():
    """Let Python's collector look at all objects of the tests' process, and spare it them afterwards."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


def frozen_while_training(directory) -> list[int]:
    """Return how many objects were set aside at each step."""
    found = []
    train(tiny(**{"trainer.max_steps": 4}), directory, log=lambda _: found.append(gc.get_freeze_count()))
    return found


def test_collections_while_training_do_not_look_at_what_lives_as_long_as_it(tmp_path, thawed):
    assert min(frozen_while_training(tmp_path)) > 10_000, "torch alone holds more objects"
    assert len(gc.get_objects()) > 10_000, "and all are looked at afterwards"
    assert gc.get_freeze_count() == 0


def test_what_a_process_had_set_aside_before_training_is_still_so_afterwards(tmp_path):
    before = gc.get_freeze_count()
    assert before > 10_000, "by these tests themselves"
    assert max(frozen_while_training(tmp_path)) <= before, "nothing is added"
    assert before >= gc.get_freeze_count() > before - 1000, "some of them end when nobody needs them any more"


def test_training_leaves_signals_garbage_collection_and_random_state_as_they_were(tmp_path):
    def handlers():
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]

    before, seen = handlers(), []

    def look_at_handlers(point):
        seen.append(handlers())

    torch.manual_seed(9)
    state = torch.get_rng_state()
    train(tiny(), tmp_path, log=look_at_handlers)
    assert seen == [before] * 12
    assert gc.isenabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_ends_in_a_sentence_and_keeps_no_checkpoint(tmp_path):
    changes = {"optimizer.lr": 1.0, "model.norm_eps": 1e-6, "trainer.precision": "32-true"}
    config = tiny(**changes, **{"trainer.log_every_n_steps": 100, "checkpoint_every_steps": 3})

    class Poisoned(GPT):
        def logits(self, hidden):
            return super().logits(hidden) * (1e38 * 1e38)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmexp.training.pretrain.build_model", lambda *shape: Poisoned(*shape[:2]))
        with pytest.raises(StageError, match=r"became nan at step 3, .*lower optimizer\.lr"):
            train(config, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert gc.isenabled()


def test_a_rank_without_its_group_and_a_missing_gpu_are_refused_in_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(StageError, match=r"asks for 2 ranks .* runs in a group of 1"):
        run({"trainer.devices": 2}, tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(StageError, match=r"trainer\.accelerator=cuda"):
            run({"trainer.accelerator": "cuda"}, tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(StageError, match=r"asks for 1 ranks .* runs in a group of 3"):
        run({}, tmp_path)


def test_too_short_a_stream_is_refused_before_training(tmp_path):
    with pytest.raises(DataError, match=r"holds 8 tokens"):
        train(tiny(), tmp_path, tokens=ArrayTokens(np.zeros(8)))


def test_each_label_of_padded_rows_weighs_alike_however_a_batch_is_cut(tmp_path):
    config = tiny(**{"trainer.max_steps": 4})
    length = config.model.context_length
    rows = np.array([[i, 1 + i % length] for i in range(30)])  # row i: one range of 1 + i mod T inputs
    segments = np.array([[i, 9 * i, size] for i, size in rows])
    samples = RowSamples(noise(), segments, rows, context_length=length, eos_token_id=0)
    curves = []
    for micro_batch_size in (12, 2):
        curves.append([])
        train(
            replace(config, micro_batch_size=micro_batch_size),
            tmp_path / str(micro_batch_size),
            samples=samples,
            log=curves[-1].append,
        )
    assert len(curves[0]) == 4
    np.testing.assert_allclose(losses(curves[0]), losses(curves[1]), rtol=1e-12)
    model = GPT(config.model, VOCAB, seed=config.seed).double()
    first = [samples.read(i) for i in BatchOrder(30, 12, config.seed).sample_indices(0)]
    inputs, labels = (torch.from_numpy(np.stack(part)) for part in zip(*first, strict=True))
    loss = functional.cross_entropy(model(inputs).flatten(0, 1), labels.flatten(), ignore_index=-100)
    assert losses(curves[0])[0] == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_model_learns_a_markov_chain_to_its_exact_entropy(tmp_path, optimizer):
    symbols, generator = 8, np.random.default_rng(1)
    chain = generator.dirichlet([0.4] * symbols, size=symbols)
    steps = generator.random(60_000)
    walk = np.zeros(60_000, dtype=np.int64)
    cumulative = chain.cumsum(axis=1)
    for i in range(1, len(walk)):
        walk[i] = min(np.searchsorted(cumulative[walk[i - 1]], steps[i]), symbols - 1)
    fresh = torch.from_numpy(walk[50_000:])
    config = tiny(
        **{
            "trainer.precision": "32-true",
            "trainer.max_steps": 150,
            "trainer.log_every_n_steps": 50,
            "model.context_length": 16,
            "optimizer.name": optimizer,
            "global_batch_size": 32,
        }
    )
    result = train(config, tmp_path, tokens=ArrayTokens(walk[:50_000]), vocab_size=symbols)
    rows = fresh[: 600 * 16].view(600, 16)
    with torch.no_grad():
        scores = result.model(rows[:, :-1]).log_softmax(-1)
    model_nll = -scores.gather(-1, rows[:, 1:, None]).mean()
    chain_nll = -torch.from_numpy(np.log(chain))[rows[:, :-1], rows[:, 1:]].mean()
    excess = float(model_nll) - float(chain_nll)  # an estimate of the divergence, with little noise
    assert -0.005 < excess < 0.03
    assert float(chain_nll) < np.log(symbols) - 0.5
