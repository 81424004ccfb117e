"""Training with documents that do not see each other, against a loss that reads each one alone."""

import itertools

import pytest
import torch
from torch.nn import functional

from lmexp.core.values.config import identity
from lmexp.models.build import build_model
from lmexp.packing.batches import BatchOrder
from lmexp.packing.samples import StreamSamples
from tests.training.pretrain_runs import VOCAB, noise, run, tiny

GPT2 = {"architecture": "gpt2", "context_length": 8, "num_layers": 2, "num_heads": 2, "d_model": 16}
families = pytest.mark.parametrize("changes", [{}, {"model": GPT2}], ids=["qwen3", "gpt2"])


def awake(config, vocab_size, seed):
    """Return a model whose blocks do not begin as the identity, so that attention matters at once."""
    model = build_model(config, vocab_size, seed)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(std=0.3, generator=generator))
    return model


@torch.no_grad()
def loss_of_documents_alone(config):
    """Return the first step's loss, each document of each sample cut out and read by itself."""
    samples = StreamSamples(noise(), config.model.context_length)
    model = awake(config.model, VOCAB, config.seed).double()
    order = BatchOrder(samples.num_samples, config.global_batch_size, seed=config.seed)
    total = count = 0
    for index in order.sample_indices(0):
        inputs, labels = (torch.from_numpy(part) for part in samples.read(int(index)))
        begins = [0, *(t for t in range(1, len(inputs)) if inputs[t] == 0), len(inputs)]
        for first, end in itertools.pairwise(begins):
            logits = model(inputs[None, first:end])[0]
            total += float(functional.cross_entropy(logits, labels[first:end], reduction="sum"))
        count += len(begins) - 2
    assert count > 3, "the noise must hold documents"
    return total / config.global_batch_size / config.model.context_length


@families
def test_the_loss_is_that_of_each_document_read_alone(tmp_path, monkeypatch, changes):
    monkeypatch.setattr("lmexp.training.pretrain.build_model", awake)
    changes = {**changes, "micro_batch_size": 4, "trainer.max_steps": 3}
    masked, plain = (
        run({**changes, "document_masking": on}, tmp_path / str(on))[1][0]["train/loss"]
        for on in (True, False)
    )
    assert masked == pytest.approx(loss_of_documents_alone(tiny(**changes)), rel=1e-12)
    assert abs(masked / plain - 1) > 1e-4


@families
def test_it_trains_in_mixed_precision_and_resumes_to_the_same_bits(tmp_path, changes):
    changes = {**changes, "document_masking": True, "trainer.precision": "bf16-mixed"}
    whole, points = run(changes, tmp_path / "whole")
    assert points[-1]["train/loss"] < points[0]["train/loss"]
    run(changes, tmp_path / "parts", stop_after=5)
    resumed, _ = run(changes, tmp_path / "parts")
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_it_is_part_of_the_identity_and_left_out_where_it_is_off():
    assert identity(tiny(document_masking=True))["document_masking"] is True
    assert "document_masking" not in identity(tiny())
