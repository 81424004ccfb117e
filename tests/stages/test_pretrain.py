"""The pretrain stage on the finished run's tokens: what it leaves in its directory."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file

import lmexp
from lmexp.core.graph.stage import StageRun
from lmexp.core.values.config import build
from lmexp.stages import PackingArtifact, TokenizerArtifact, pretrain
from lmexp.training.config import PretrainConfig

SMALL = {
    "model": {"context_length": 32, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_model": 16},
    "trainer": {"max_steps": 6, "accelerator": "cpu", "log_every_n_steps": 2},
    "optimizer": {},
    "schedule": {},
    "global_batch_size": 4,
}
GPT2 = {"architecture": "gpt2", "context_length": 32, "num_layers": 2, "num_heads": 2, "d_model": 16}


@pytest.fixture
def train(finished, tmp_path):
    _, run, _ = finished

    def call(**changes):
        points, said = [], []
        stage_run = StageRun(
            out=tmp_path / "out",
            work=tmp_path / "work",
            log=points.append,
            should_stop=lambda: False,
            cache=tmp_path / "cache",
            say=said.append,
        )
        metrics = pretrain.function(
            stage_run,
            build(PretrainConfig, {**SMALL, **changes}),
            packing=PackingArtifact(run.artifact("packing")),
            tokenizer=TokenizerArtifact(run.artifact("tokenizer")),
        )
        assert said[0] == "imports torch and Lightning"
        assert said[1].startswith(f"trains {metrics['parameters']:,} parameters on ")
        return tmp_path / "out", metrics, points

    return call


def test_chosen_steps_are_whole_model_folders_beside_the_last_weights(train):
    out, metrics, _ = train(publish_steps=[2, 6])
    assert metrics["steps"] == 6
    for path in (out, out / "steps" / "2"):  # each weight once; the head is the embedding
        assert sorted(load_file(path / "model.safetensors")) == sorted(
            name for name, _ in lmexp.load_model(path).named_parameters()
        )
        assert "lm_head.weight" not in load_file(path / "model.safetensors")
    last, second, sixth = (lmexp.load_model(path) for path in (out, out / "steps" / "2", out / "steps" / "6"))
    for name, weight in last.state_dict().items():
        assert torch.equal(weight, sixth.state_dict()[name])
    assert any(not torch.equal(w, second.state_dict()[n]) for n, w in last.state_dict().items())
    for folder, steps in ((out, 6), (out / "steps" / "2", 2), (out / "steps" / "6", 6)):
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert f"trained from its initial weights by lmexp for {steps}\nsteps" in card
        assert "| `trainer.max_steps` | `6` |" in card
        assert re.search(r"- `packing/\S+`\n- `tokenizer/\S+`\n", card)
        assert str(out) not in card
        assert "micro_batch_size" not in card, "the placement changes no card"
        values = json.loads((folder / "tokenizer_config.json").read_text())
        assert values["model_max_length"] == second.config.context_length
        assert {"pad_token": "<|endoftext|>", "padding_side": "left"}.items() <= values.items()
    tokenizer = lmexp.load_tokenizer(out / "steps" / "2")
    assert isinstance(lmexp.generate(second, tokenizer, "def ", max_new_tokens=2), str)


def test_a_gpt2_is_trained_validated_published_and_continued_as_transformers_does(train):
    transformers = pytest.importorskip("transformers")
    changes = {"validation_every_steps": 3, "publish": "best", "document_masking": True}
    out, metrics, points = train(model=GPT2, **changes)
    assert json.loads((out / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
    assert [p["step"] for p in points if "validation/bits_per_byte" in p] == [3, 6]
    best = min((p["validation/loss"], p["step"]) for p in points if "validation/loss" in p)
    assert (metrics["validation/loss"], metrics["best_step"]) == best
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out)
    model, tokenizer = lmexp.load_model(out), lmexp.load_tokenizer(out)
    ids = torch.tensor([tokenizer.encode("def f(x):")])
    with torch.no_grad():
        torch.testing.assert_close(model(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)
        expected = theirs.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :].tolist()
    text = lmexp.generate(model, tokenizer, "def f(x):", max_new_tokens=8, temperature=0.0)
    assert text == tokenizer.decode(expected).removesuffix("<|endoftext|>")
