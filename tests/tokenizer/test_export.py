"""A model's folder as transformers takes it: prompts in a batch are continued as alone."""

import json

import pytest
import torch

from lmexp.models.build import build_model
from lmexp.models.families import GPT2Config, GPTConfig
from lmexp.models.folder import save_network
from lmexp.tokenizer.export import export_tokenizer
from lmexp.tokenizer.folder import load_tokenizer
from tests.tokenizer.families import TEXTS, written

PROMPTS = ["The 3 cats", "a", "sit on naïve mats, 中", TEXTS[7][:30], "7 x"]
CONFIGS = {"qwen3": GPTConfig, "gpt2": GPT2Config}


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_pipeline_of_transformers_continues_a_batch_as_each_prompt_alone(tmp_path, architecture):
    transformers = pytest.importorskip("transformers")
    source, folder = written(tmp_path / "tokenizer", "qwen2"), tmp_path / "model"
    tokenizer = load_tokenizer(source)
    heads = {"num_kv_heads": 1} if architecture == "qwen3" else {}
    config = CONFIGS[architecture](context_length=64, num_layers=2, num_heads=2, d_model=16, **heads)
    model = build_model(config, tokenizer.vocab_size, seed=1)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):  # a fresh model repeats its last token
            generator = torch.Generator().manual_seed(i)
            parameter.add_(torch.empty_like(parameter).normal_(std=0.3, generator=generator))
    save_network(model, folder, eos_token_id=tokenizer.eos_token_id)
    export_tokenizer(sorted(source.iterdir()), folder, model_max_length=64)
    write = transformers.pipeline("text-generation", model=str(folder))
    assert write.tokenizer.pad_token_id == write.model.generation_config.pad_token_id
    assert write.tokenizer.pad_token_id == tokenizer.eos_token_id
    assert write.tokenizer.model_max_length == 64
    alone = [write(prompt, do_sample=False)[0]["generated_text"] for prompt in PROMPTS]
    together = write(PROMPTS, batch_size=2, do_sample=False)
    assert [rows[0]["generated_text"] for rows in together] == alone
    assert len(set(alone)) == len(PROMPTS)


def test_what_the_tokenizer_says_of_itself_is_kept(tmp_path):
    source = written(tmp_path / "tokenizer", "llama3")
    (tmp_path / "model").mkdir()
    config = json.loads((source / "tokenizer_config.json").read_text())
    for named, pad in (
        ({}, "<|end_of_text|>"),
        ({"pad_token": None}, "<|end_of_text|>"),
        ({"pad_token": "a"}, "a"),
    ):
        (source / "tokenizer_config.json").write_text(json.dumps(config | named | {"model_max_length": 9}))
        export_tokenizer(source.iterdir(), tmp_path / "model", model_max_length=64)
        values = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
        own = {"pad_token": pad, "padding_side": "left", "model_max_length": 64}
        assert values == config | own
    assert (tmp_path / "model" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
