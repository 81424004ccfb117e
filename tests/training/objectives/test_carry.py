"""Rows that hand their state on: against a plain loop over lanes, and against one unbroken pass."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.packing.batches import LaneOrder
from lmexp.packing.samples import RowSamples
from lmexp.training.needs import check_inputs
from tests.training.pretrain_runs import VOCAB, noise, run, tiny, train
from tests.training.test_needs import packed, upstream

SHAPES = {
    "rnn": {"architecture": "rnn", "num_layers": 1, "d_model": 8},
    "lstm": {"architecture": "lstm", "num_layers": 2, "d_model": 8},
    "mlp": {"architecture": "mlp", "order": 6, "d_model": 4, "d_ff": 8},
}
families = pytest.mark.parametrize("family", SHAPES)
ROWS, T, PER_LANE = 12, 4, 5
CARRY = {"carry_state": True, "sample_length": T, "train_samples": ROWS * PER_LANE + 7}
SGD = {"optimizer": {"name": "sgd", "lr": 0.5, "weight_decay": 0.0}, "schedule": {"warmup_steps": 0}}


@given(st.integers(1, 40), st.integers(0, 200))
def test_each_lane_reads_its_own_part_of_the_samples_in_order_and_again_in_each_epoch(rows, more):
    order = LaneOrder(rows + more, rows, seed=0)
    steps = (rows + more) // rows
    read = np.stack([order.sample_indices(step) for step in range(2 * steps)])
    assert read[:steps].T.ravel().tolist() == list(range(rows * steps))
    assert (read[:steps] == read[steps:]).all()


@families
def test_the_curve_is_that_of_a_plain_loop_that_detaches_the_state_after_each_step(tmp_path, family):
    changes = {**CARRY, **SGD, "model": SHAPES[family]}
    result, points = run({**changes, "micro_batch_size": 4}, tmp_path)
    config = tiny(**changes)
    model = build_model(config.model, VOCAB, config.seed).double()
    ids = torch.from_numpy(noise().ids)
    starts = [row * PER_LANE * T for row in range(ROWS)]
    for step in range(config.trainer.max_steps):
        if step % PER_LANE == 0:
            states = [model.new_state(1) for _ in range(ROWS)]
        nats = torch.zeros((), dtype=torch.float64)
        for row, state in enumerate(states):
            begin = starts[row] + step % PER_LANE * T
            logits = model.logits(model.hidden_states(ids[None, begin : begin + T], state=state))[0]
            labels = ids[begin + 1 : begin + T + 1]
            nats = nats + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        loss = nats / (ROWS * T)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        ratio = points[step]["lr"] / 0.5
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(0.5 * ratio * parameter.grad)
        for state in states:
            for name, value in vars(state).items():
                detached = tuple(v.detach() for v in value) if isinstance(value, tuple) else value
                setattr(state, name, detached)
        assert points[step]["train/loss"] == pytest.approx(loss.item(), rel=1e-10)
    torch.testing.assert_close(
        dict(result.model.state_dict()), dict(model.state_dict()), rtol=1e-8, atol=1e-10
    )


@families
def test_the_losses_of_one_lane_over_an_epoch_are_those_of_one_unbroken_pass(tmp_path, family):
    still = {"optimizer": {"name": "sgd", "lr": 1e-300, "weight_decay": 0.0}}
    changes = {**CARRY, **still, "model": SHAPES[family], "global_batch_size": 1, "train_samples": 12}
    result, points = run(changes, tmp_path)
    ids = torch.from_numpy(noise().ids[: 12 * T + 1])
    with torch.no_grad():
        logits = result.model(ids[None, :-1])[0]
    nats = torch.nn.functional.cross_entropy(logits, ids[1:])
    assert sum(p["train/loss"] for p in points) / 12 == pytest.approx(float(nats), rel=1e-10)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, r"hands on a state of one size, and gpt-2x16 has none; .* such as model=lstm"),
        (
            {"model": SHAPES["lstm"], "document_masking": True},
            r"carry_state reads on through the ends of documents, and document_masking stops at them",
        ),
    ],
)
def test_what_cannot_hand_on_is_refused(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        tiny(carry_state=True, **changes)


def test_rows_and_too_few_samples_are_refused_before_training_and_by_it(tmp_path):
    config = tiny(carry_state=True, sample_length=8, model=SHAPES["lstm"])
    for above, sentence in [
        (upstream("best_fit", packing=packed(900, 900, rows=(90, 90))), r"do not follow .* packing=concaten"),
        (upstream(packing=packed(12 * 8, 900)), r"there are 11 for global_batch_size 12; lower global_batch"),
    ]:
        with pytest.raises(DataError, match=sentence):
            check_inputs(config, above)
    check_inputs(config, upstream(packing=packed(12 * 8 + 1, 900)))
    rows = RowSamples(
        noise(),
        np.array([[0, 0, 8]] * 20),
        np.array([[i, 8] for i in range(20)]),
        context_length=8,
        eos_token_id=0,
    )
    with pytest.raises(DataError, match=r"samples that were packed into rows do not follow each other"):
        train(config, tmp_path, samples=rows)
    with pytest.raises(DataError, match=r"there are 11 for global_batch_size 12"):
        train(config, tmp_path, tokens=noise(90))
