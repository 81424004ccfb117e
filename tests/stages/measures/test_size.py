"""The size stage: the figures of the model as it arrives, and two-part code lengths that add up."""

import pytest

from lmexp import stages
from lmexp.evals.config import PerplexityConfig, SizeConfig
from lmexp.evals.model_size import coded_bytes, write_as_told
from tests.stages.measures.test_audit import SMALL, inputs, small

__all__ = ["inputs"]


@pytest.mark.parametrize("family", ["qwen3", "lstm"])
def test_bits_are_those_of_the_weights_as_they_arrive(family, inputs, tmp_path):
    run, artifacts = inputs
    model = small(family, artifacts, tmp_path / "model")
    run(stages.size, SizeConfig(limit=None), model=model, **artifacts)
    metrics = run.metrics
    num_bytes = artifacts["corpus"].num_bytes("test")
    assert metrics["test/bytes"] == num_bytes
    bits = {}
    for form in ("stored", "bf16", "int8"):
        write_as_told(model.path, form, tmp_path / form)
        run(stages.perplexity, PerplexityConfig(), model=stages.ModelArtifact(tmp_path / form), **artifacts)
        bits[form] = run.metrics["test/bits_per_byte"]
        assert metrics[f"test/data_bits_per_byte/{form}"] == pytest.approx(bits[form], rel=1e-9)
        told = coded_bytes(model.path, form)
        assert metrics[f"coded_bytes/{form}"] == told
        both = 8 * told / num_bytes + bits[form]
        assert metrics[f"test/two_part_bits_per_byte/{form}"] == pytest.approx(both, rel=1e-9)
    assert len(set(bits.values())) == 3
    assert metrics["coded_bytes/int8"] < metrics["coded_bytes/bf16"] < metrics["coded_bytes/stored"]
    least = min(metrics[f"test/two_part_bits_per_byte/{form}"] for form in bits)
    assert metrics["test/two_part_bits_per_byte"] == least
    assert metrics["train/two_part_bits_per_byte"] > 0
    assert metrics["test/gzip_bits_per_byte"] == run.metrics["test/gzip_bits_per_byte"]


def test_counts_have_one_form_and_what_is_no_distribution_no_code_length(inputs, tmp_path, monkeypatch):
    run, artifacts = inputs
    model = small("ngram", artifacts, tmp_path / "counted")
    run(stages.size, SizeConfig(), model=model, **artifacts)
    assert [key for key in run.metrics if key.startswith("coded_bytes/")] == ["coded_bytes/stored"]
    assert run.metrics["test/two_part_bits_per_byte"] == run.metrics["test/two_part_bits_per_byte/stored"]
    assert "test/is_bound" not in run.metrics
    monkeypatch.setitem(SMALL, "smoothing", "stupid_backoff")
    model = small("ngram", artifacts, tmp_path / "backoff")
    run(stages.size, SizeConfig(), model=model, **artifacts)
    assert not [key for key in run.metrics if "two_part" in key and "zstd" not in key]


def test_of_a_bound_the_code_length_is_a_bound_too(inputs, tmp_path):
    run, artifacts = inputs
    model = small("diffusion", artifacts, tmp_path / "model")
    run(stages.size, SizeConfig(limit=4, draws=4), model=model, **artifacts)
    assert run.metrics["test/is_bound"] == run.metrics["train/is_bound"] == 1
    assert run.metrics["test/two_part_bits_per_byte"] > 0
