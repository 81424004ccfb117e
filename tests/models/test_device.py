"""Evaluation on the device and in the arithmetic that are asked for, and what lacks them."""

import sys

import numpy as np
import pytest
import torch

from lmexp import run
from lmexp.errors import ConfigError
from lmexp.evals.config import PerplexityConfig
from lmexp.models.build import build_model
from lmexp.models.device import DeviceConfig, check_device, computing, lacks_gpu
from lmexp.models.families import NETWORKS
from lmexp.scoring.scorer import scorer_of

SHAPES = {
    "qwen3": {"context_length": 32, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_model": 32},
    "gpt2": {"context_length": 32, "num_layers": 2, "num_heads": 2, "d_model": 32},
    "gru": {"num_layers": 2, "d_model": 32},
    "rnn": {"num_layers": 2, "d_model": 32},
    "mlp": {"order": 4, "d_model": 16, "d_ff": 32},
}
BF16_NATS = 0.05
"""Most by which a token's score in bf16-mixed may differ from fp32's here."""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks for Linux's device files")


def model_of(family):
    torch.set_num_threads(1)
    model = build_model(NETWORKS.kinds[family](**SHAPES[family]), 50, seed=1)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)) * 0.1)
    return model


def scores(model, precision):
    ids = np.random.default_rng(0).integers(1, 50, (6, 24)).tolist()
    groups = [[(row[:10], row[10:]), (row[:10], row[11:20])] for row in ids]
    with computing(model, DeviceConfig(device="cpu", precision=precision), "perplexity") as placed:
        scorer = scorer_of(placed, batch_size=4, bos_token_id=0)
        found = [scorer.score([pair for group in groups for pair in group])]
        found += scorer.score_groups(groups)
    return np.concatenate([score for group in found for score in group])


@pytest.mark.parametrize("family", sorted(SHAPES))
def test_scores_in_bf16_are_those_in_fp32_within_the_stated_tolerance(family):
    model = model_of(family)
    exact, rounded = scores(model, "32-true"), scores(model, "bf16-mixed")
    assert exact.dtype == rounded.dtype == np.float64
    assert 0 < np.abs(exact - rounded).max() < BF16_NATS
    np.testing.assert_array_equal(scores(model, "32-true"), exact)  # nothing of bf16 is left behind


def test_a_log_softmax_is_computed_in_fp32_though_logits_come_in_bf16(monkeypatch):
    model, seen = model_of("qwen3"), []
    original = torch.Tensor.logsumexp
    monkeypatch.setattr(
        torch.Tensor, "logsumexp", lambda self, **how: seen.append(self.dtype) or original(self, **how)
    )
    scores(model, "bf16-mixed")
    assert set(seen) == {torch.float32}


def test_what_is_counted_has_no_device():
    class Counts:
        family = "ngram"

    counts = Counts()
    with computing(counts, DeviceConfig(device="cuda", precision="bf16-mixed"), "prompts") as placed:
        assert placed is counts
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_auto_is_the_cpu_where_there_is_no_gpu_and_cuda_is_refused_in_a_sentence():
    model = model_of("gru")
    with computing(model, DeviceConfig(), "samples") as placed:
        assert placed.device.type == "cpu"
    with (
        pytest.raises(
            ConfigError, match=r"^samples\.device=cuda needs a GPU, and torch finds none; set samp"
        ),
        computing(model, DeviceConfig(device="cuda"), "samples"),
    ):
        pass


@linux
def test_a_gpu_is_refused_before_a_run_where_there_is_no_device_file(tmp_path):
    check, config = check_device("perplexity"), PerplexityConfig(device="cuda")
    with pytest.raises(ConfigError, match=r"^perplexity\.device=cuda needs a GPU, and this machine has none"):
        check(config, tmp_path)
    (tmp_path / "nvidia0").touch()
    check(config, tmp_path)
    check(PerplexityConfig(), tmp_path / "no")


@linux
@pytest.mark.skipif(not lacks_gpu(), reason="there is a GPU")
@pytest.mark.parametrize("group", ["perplexity", "prompts", "samples"])
def test_a_run_that_asks_for_a_missing_gpu_ends_before_its_first_stage(group, tmp_path, capsys):
    arguments = ["+experiment=tiny", f"store={tmp_path}", f"{group}.device=cuda"]
    assert run.main(arguments) == 2
    assert f"{group}.device=cuda needs a GPU" in capsys.readouterr().err
    assert not list(tmp_path.glob("artifacts/*"))


@pytest.mark.gpu
@pytest.mark.parametrize("family", sorted(SHAPES))
@pytest.mark.parametrize(("precision", "nats"), [("32-true", 1e-3), ("bf16-mixed", BF16_NATS)])
def test_scores_on_a_gpu_are_those_of_the_cpu(family, precision, nats):
    model = model_of(family)
    exact = scores(model, "32-true")
    ids = np.random.default_rng(0).integers(1, 50, (6, 24)).tolist()
    with computing(model, DeviceConfig(device="cuda", precision=precision), "perplexity") as placed:
        found = scorer_of(placed, batch_size=4, bos_token_id=0).score([(row[:10], row[10:]) for row in ids])
    plain = np.concatenate(found)
    expected = np.concatenate([exact[i * 23 : i * 23 + 14] for i in range(6)])
    assert np.abs(plain - expected).max() < nats
