"""Networks that transformers has no name for, written and read back; damage is refused in a sentence."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig, EncoderConfig, GRUConfig, LSTMConfig, MLPConfig, RNNConfig
from lmexp.models.folder import load_model, save_network

CONFIGS = [
    GRUConfig(num_layers=1, d_model=8),
    LSTMConfig(num_layers=2, d_model=4, tie_embeddings=False),
    RNNConfig(num_layers=1, d_model=8),
    MLPConfig(order=3, d_model=4, d_ff=6, direct=True),
    EncoderConfig(context_length=8, num_layers=1, num_heads=2, d_model=8),
    DiffusionConfig(context_length=8, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8),
]
families = pytest.mark.parametrize(
    "config", CONFIGS, ids=["gru", "lstm", "rnn", "mlp", "encoder", "diffusion"]
)


@families
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_network_comes_back_as_it_was(config, dtype, tmp_path):
    model = build_model(config, 13, seed=4).to(dtype)
    save_network(model, tmp_path, eos_token_id=0)
    again = load_model(tmp_path)
    assert again.config == config
    assert (again.family, again.vocab_size, again.can) == (model.family, 13, config.can)
    for name, tensor in model.state_dict().items():
        assert again.state_dict()[name].dtype == dtype
        assert torch.equal(again.state_dict()[name], tensor)


def changed(folder, **values):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"family": "lstn"}, r"family 'lstn'.*did you mean 'lstm'"),
        ({"format": 2}, r"format 2; lmexp reads format 1"),
        ({"model": None}, r"lacks the key 'model'"),
        ({"model": {"num_layers": 0}}, r"no valid model: num_layers must be at least 1"),
        ({"model": {"layers": 1}}, r"layers is not a known key"),
        ({"vocab_size": "13"}, r"vocab_size must be a positive integer"),
        ({"vocab_size": 14}, r"stores \S+ with shape \[13, 8\], and its config.json means \[14, 8\]"),
        ({"model": {"num_layers": 2, "d_model": 8}}, r"lacks tensor cells\.\S+_l1 \(4 in all\)"),
    ],
)
def test_a_configuration_that_is_not_the_family_s_is_refused(values, sentence, tmp_path):
    save_network(build_model(CONFIGS[0], 13), tmp_path, eos_token_id=0)
    changed(tmp_path, **values)
    with pytest.raises(DataError, match=sentence):
        load_model(tmp_path)


def test_weights_that_are_not_finite_or_not_the_network_s_are_refused(tmp_path):
    save_network(build_model(CONFIGS[0], 13), tmp_path, eos_token_id=0)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "more": torch.zeros(1)}, path)
    with pytest.raises(DataError, match=r"holds the unknown tensor more"):
        load_model(tmp_path)
    save_file({**weights, "embedding.weight": weights["embedding.weight"] * torch.nan}, path)
    with pytest.raises(DataError, match=r"NaN or an infinity in the tensor embedding\.weight"):
        load_model(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"holds no model\.safetensors"):
        load_model(tmp_path)
