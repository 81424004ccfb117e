"""The samples stage on the finished run's model."""

import pytest

import lmexp
from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import build
from lmexp.core.values.files import read_lines
from lmexp.generation.config import SamplesConfig
from lmexp.stages import ModelArtifact, TokenizerArtifact, samples


@pytest.fixture
def draw(finished, tmp_path):
    _, run, _ = finished
    path = run.artifact("pretrain")

    def call(**values):
        stage_run = StageRun(
            out=tmp_path, work=tmp_path, log=lambda _: None, should_stop=lambda: False, cache=tmp_path
        )
        config = build(SamplesConfig, values)
        metrics = samples.function(
            stage_run, config, model=ModelArtifact(path), tokenizer=TokenizerArtifact(path)
        )
        return list(read_lines(tmp_path / "samples.jsonl")), metrics, path

    return call


def test_each_row_is_what_generate_prints_for_its_values(draw):
    rows, metrics, path = draw(
        prompts=["", "def f("], num_samples=2, temperature=0.7, top_k=40, max_new_tokens=8, seed=5
    )
    assert [(row["prompt"], row["seed"]) for row in rows] == [("", 5), ("", 6), ("def f(", 5), ("def f(", 6)]
    model, tokenizer = lmexp.load_model(path), lmexp.load_tokenizer(path)
    for row in rows:
        values = {key: value for key, value in row.items() if key not in ("prompt", "text")}
        assert row["text"] == lmexp.generate(model, tokenizer, row["prompt"], **values)
    assert rows[0]["text"] != rows[1]["text"]
    assert metrics == {"texts": 4, "characters": sum(len(row["text"]) for row in rows)}


def test_the_main_pipeline_draws_from_its_own_model(finished):
    _, run, out = finished
    rows = list(read_lines(run.artifact("samples") / "samples.jsonl"))
    assert [(row["prompt"], row["temperature"], row["seed"]) for row in rows] == [
        ("", 0.8, seed) for seed in (0, 1, 2)
    ]
    assert "samples, the first of them" in out
