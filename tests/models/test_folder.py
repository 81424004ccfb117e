"""Model folders against transformers, in both directions."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS, GPT2Config, GPTConfig
from lmexp.models.folder import load_model, save_network
from lmexp.models.network import CausalNetwork

VOCAB = 29
CASES = {
    "grouped, tied, explicit head_dim": GPTConfig(
        context_length=32, num_layers=2, num_heads=4, num_kv_heads=2, d_model=24, head_dim=10, rope_theta=5e3
    ),
    "ungrouped, untied": GPTConfig(
        context_length=32, num_layers=2, num_heads=3, num_kv_heads=3, d_model=24, tie_embeddings=False
    ),
    "gpt2, tied": GPT2Config(context_length=32, num_layers=2, num_heads=3, d_model=24),
    "gpt2, untied, odd heads, own d_ff": GPT2Config(
        context_length=32,
        num_layers=2,
        num_heads=2,
        d_model=10,
        d_ff=24,
        norm_eps=1e-3,
        tie_embeddings=False,
    ),
}
CLASSES = {"qwen3": "Qwen3ForCausalLM", "gpt2": "GPT2LMHeadModel"}
cases = pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())


def awake(config: ModelConfig) -> CausalNetwork:
    model = build_model(config, VOCAB, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(std=0.2, generator=generator))
    return model


def some_ids() -> torch.Tensor:
    return torch.randint(VOCAB, (3, 32), generator=torch.Generator().manual_seed(0))


@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_transformers_computes_the_logits_of_a_saved_model(tmp_path, config, dtype):
    transformers = pytest.importorskip("transformers")
    model = awake(config).to(dtype)
    save_network(model, tmp_path, eos_token_id=0)
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(theirs).__name__ == CLASSES[NETWORKS.kind_of(config)]
    assert theirs.dtype == dtype
    assert theirs.config.eos_token_id == theirs.generation_config.eos_token_id == 0
    with torch.no_grad():
        torch.testing.assert_close(model(some_ids()), theirs(some_ids()).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_that_transformers_saved_computes_the_same_logits_here(tmp_path, tied):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=VOCAB,
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=32,
            tie_word_embeddings=tied,
            initializer_range=0.3,
            rope_parameters={"rope_type": "default", "rope_theta": 7000.0},
        )
    )
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    assert ours.config.tie_embeddings == tied
    with torch.no_grad():
        torch.testing.assert_close(ours(some_ids()), theirs(some_ids()).logits, rtol=1e-4, atol=1e-4)


def their_gpt2(**changes):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shape = {"n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3, "initializer_range": 0.3}
    config = transformers.GPT2Config(vocab_size=VOCAB, bos_token_id=0, eos_token_id=0, **(shape | changes))
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases, too, must matter
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.mark.parametrize(
    "changes",
    [{}, {"tie_word_embeddings": False}, {"n_inner": 40, "layer_norm_epsilon": 0.1}],
    ids=["tied", "untied", "own d_ff and eps"],
)
def test_a_gpt2_that_transformers_saved_computes_the_same_logits_here(tmp_path, changes):
    theirs = their_gpt2(**changes)
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    assert type(ours.config) is GPT2Config
    with torch.no_grad():
        torch.testing.assert_close(ours(some_ids()), theirs(some_ids()).logits, rtol=1e-4, atol=1e-4)


def test_a_gpt2_folder_as_it_was_first_published_is_read(tmp_path):
    """Its names lack the prefix, its masks are stored, and its configuration leaves defaults out."""
    theirs = their_gpt2()
    theirs.save_pretrained(tmp_path)
    weights = {
        name.removeprefix("transformer."): tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 32, 32).tril() for i in range(2)}
    save_file(weights | masks, tmp_path / "model.safetensors")
    values = json.loads((tmp_path / "config.json").read_text())
    kept = ("model_type", "n_positions", "n_embd", "n_layer", "n_head", "vocab_size", "activation_function")
    kept += ("layer_norm_epsilon", "initializer_range", "architectures")
    (tmp_path / "config.json").write_text(json.dumps({key: values[key] for key in kept}))
    with torch.no_grad():
        logits = load_model(tmp_path)(some_ids())
        torch.testing.assert_close(logits, theirs(some_ids()).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["activation_function", "scale_attn_by_inverse_layer_idx"])
def test_a_gpt2_that_computes_something_else_is_refused_in_a_sentence(tmp_path, name):
    save_network(awake(CASES["gpt2, tied"]), tmp_path, eos_token_id=0)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {name: "relu"}))
    with pytest.raises(DataError, match=f"asks for {name}='relu'"):
        load_model(tmp_path)


@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_round_trip_keeps_every_bit_and_the_configuration(tmp_path, config, dtype):
    model = awake(config).to(dtype)
    save_network(model, tmp_path, eos_token_id=3)
    again = load_model(tmp_path)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == dtype for name in before)
    assert getattr(again.config, "rope_theta", None) == getattr(config, "rope_theta", None)
    assert type(again.config) is type(config)
    assert again.config.norm_eps == config.norm_eps
    assert again.config.resolved_d_ff == config.resolved_d_ff


def test_a_tied_head_is_stored_once(tmp_path):
    for name, config in CASES.items():
        save_network(awake(config), tmp_path / name, eos_token_id=0)
        with safe_open(tmp_path / name / "model.safetensors", framework="pt") as file:
            assert ("lm_head.weight" in file.keys()) == (not config.tie_embeddings)  # noqa: SIM118
            assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize(
    ("config", "drop", "add", "sentence"),
    [
        ({}, "lm_head.weight", {}, r"lacks tensor lm_head\.weight"),
        ({}, None, {"extra": torch.zeros(1)}, r"unknown tensor extra"),
        ({}, None, {"model.norm.weight": torch.ones(24).half()}, r"mixes the dtypes"),
        ({"vocab_size": 30}, None, {}, r"shape \[29, 24\], and its config\.json means \[30, 24\]"),
        ({"model_type": "llama"}, None, {}, r"model_type='llama'"),
        ({"attention_bias": True}, None, {}, r"attention_bias=True"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, None, {}, r"rope_type='yarn'"),
        ({"rope_parameters": {}}, None, {}, r"lacks the key 'rope_theta'"),
        ({"rope_parameters": "yarn"}, None, {}, r"rope_type='yarn'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, None, {}, r"rope_type='linear'"),
        ({"vocab_size": -3}, None, {}, r"vocab_size must be a positive integer up to 16,777,216, was -3"),
        ({"model_type": ["qwen3"]}, None, {}, r"model_type=\['qwen3'\]"),
        ({"num_attention_heads": 4}, None, {}, r"describes no valid model: num_heads \(4\)"),
    ],
)
def test_a_folder_that_is_not_one_model_is_refused_in_a_sentence(tmp_path, config, drop, add, sentence):
    save_network(awake(CASES["ungrouped, untied"]), tmp_path, eos_token_id=0)
    values = json.loads((tmp_path / "config.json").read_text())
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop(drop, None)
    (tmp_path / "config.json").write_text(json.dumps(values | config))
    save_file(weights | add, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=sentence):
        load_model(tmp_path)


def test_a_configuration_of_transformers_4_is_read(tmp_path):
    model = awake(CASES["ungrouped, untied"])
    save_network(model, tmp_path, eos_token_id=0)
    values = json.loads((tmp_path / "config.json").read_text())
    theta = values.pop("rope_parameters")["rope_theta"]
    (tmp_path / "config.json").write_text(json.dumps({**values, "rope_theta": theta, "rope_scaling": None}))
    assert load_model(tmp_path).config.rope_theta == theta == model.config.rope_theta


def test_missing_or_damaged_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"config\.json cannot be read"):
        load_model(tmp_path)
    save_network(awake(CASES["ungrouped, untied"]), tmp_path, eos_token_id=0)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"not a readable safetensors file"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(DataError, match=r"holds no model\.safetensors"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["grouped, tied, explicit head_dim", "gpt2, tied"])
def test_a_tied_head_that_is_stored_twice_is_read_once_and_refused_where_it_differs(tmp_path, name):
    model = awake(CASES[name])
    save_network(model, tmp_path, eos_token_id=0)
    weights = load_file(tmp_path / "model.safetensors")
    (embedding,) = {tensor for tensor in weights if "embed_tokens" in tensor or "wte" in tensor}
    save_file(weights | {"lm_head.weight": weights[embedding].clone()}, tmp_path / "model.safetensors")
    again = load_model(tmp_path)
    assert "lm_head.weight" not in again.state_dict()
    assert again.num_parameters == model.num_parameters
    with torch.no_grad():
        torch.testing.assert_close(again(some_ids()), model(some_ids()), rtol=0, atol=0)
    save_file(weights | {"lm_head.weight": weights[embedding] + 1e-6}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"stores a lm_head\.weight that is not the embedding"):
        load_model(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_not_finite_is_refused_by_its_tensors_name(tmp_path, value):
    model = awake(CASES["ungrouped, untied"])
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[2, 3] = value
    save_network(model, tmp_path, eos_token_id=0)
    with pytest.raises(
        DataError, match=r"NaN or an infinity in the tensor model\.layers\.1\.mlp\.up_proj\.weight"
    ):
        load_model(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_weights_of_a_dtype_that_is_not_computed_with_are_refused(tmp_path, dtype):
    save_network(awake(CASES["ungrouped, untied"]), tmp_path, eos_token_id=0)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: tensor.to(dtype) for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"stores weights as torch\.\w+; lmexp computes with torch\.float32"):
        load_model(tmp_path)


def test_a_tensor_with_and_without_the_prefix_is_refused(tmp_path):
    save_network(awake(CASES["gpt2, tied"]), tmp_path, eos_token_id=0)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(weights | {"wpe.weight": torch.zeros(32, 24)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"with and without the prefix 'transformer\.'"):
        load_model(tmp_path)


def test_a_configuration_far_larger_than_the_file_takes_no_memory(tmp_path):
    save_network(awake(CASES["gpt2, tied"]), tmp_path, eos_token_id=0)
    values = json.loads((tmp_path / "config.json").read_text())
    huge = {"vocab_size": 2**24, "n_embd": 2**20, "n_head": 2**10, "n_inner": 2**22}  # 64 TiB of embedding
    (tmp_path / "config.json").write_text(json.dumps(values | huge))
    with pytest.raises(DataError, match="the two files are not of one model"):
        load_model(tmp_path)


def test_how_a_folder_is_continued_is_written_beside_it(tmp_path):
    save_network(awake(CASES["gpt2, tied"]), tmp_path, eos_token_id=3)
    assert json.loads((tmp_path / "generation_config.json").read_text()) == {
        "bos_token_id": 3,
        "eos_token_id": 3,
        "pad_token_id": 3,
        "do_sample": True,
        "max_new_tokens": 16,
    }
