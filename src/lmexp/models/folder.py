"""A model as a folder that Hugging Face reads: JSON and safetensors, never pickle.

`save_model` writes config.json (``Qwen3ForCausalLM``, as transformers 5 spells it),
generation_config.json and model.safetensors; with the tokenizer's files beside them,
``AutoModelForCausalLM.from_pretrained`` loads the folder. `load_model` reads such a folder back,
ours or one that transformers saved, into a `GPT`. Weights keep their dtype; a tied head is stored
once, as the embedding.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lmexp.errors import ConfigError, DataError
from lmexp.models.config import GPTConfig
from lmexp.models.gpt import GPT

WEIGHTS = "model.safetensors"

_ONLY = {
    "model_type": "qwen3",
    "hidden_act": "silu",
    "attention_bias": False,
    "use_sliding_window": False,
}
"""Settings of a Qwen3 that `GPT` computes one value of; an absent key means that value."""

_FIELDS = {
    "max_position_embeddings": "context_length",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "num_key_value_heads": "num_kv_heads",
    "hidden_size": "d_model",
    "head_dim": "head_dim",
    "intermediate_size": "d_ff",
    "tie_word_embeddings": "tie_embeddings",
    "rms_norm_eps": "norm_eps",
    "initializer_range": "init_std",
}
"""Hugging Face's name of each of `GPTConfig`'s fields but `rope_theta`, which is nested."""


def save_model(model: GPT, directory: Path, *, eos_token_id: int) -> None:
    """Write `model` into `directory`, which is made if it is missing.

    `eos_token_id` ends a text, and also starts one: documents are packed with it between them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    ids = {"bos_token_id": eos_token_id, "eos_token_id": eos_token_id}
    _write_json(directory / "config.json", _hf_config(model, dtype) | ids)
    _write_json(directory / "generation_config.json", ids | {"do_sample": True})
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def load_model(directory: Path) -> GPT:
    """Return the model that `directory` holds, on the CPU and in the stored dtype.

    Errors: `DataError` if a file is missing or unreadable, if the configuration asks for what `GPT`
    does not compute, or if a tensor's name, shape or dtype is not what the configuration says.
    """
    config, vocab_size = _read_config(directory / "config.json")
    path = directory / WEIGHTS
    if not path.is_file():
        raise DataError(f"{directory} holds no {WEIGHTS}; a model folder needs it in one piece.")
    model = GPT(config, vocab_size)
    expected = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if config.tie_embeddings:
                names.discard("lm_head.weight")  # some tools store the tied head twice
            _check_names(path, expected=set(expected), found=names)
            for name, tensor in expected.items():
                shape = file.get_slice(name).get_shape()
                if shape != list(tensor.shape):
                    raise DataError(
                        f"{path} stores {name} with shape {shape}, and its config.json means "
                        f"{list(tensor.shape)}; the two files are not of one model."
                    )
            weights = {name: file.get_tensor(name) for name in expected}
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); save it again.") from error
    dtypes = {tensor.dtype for tensor in weights.values()}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        raise DataError(f"{path} mixes the dtypes {sorted(map(str, dtypes))}; a model has one.")
    model.to(dtypes.pop()).load_state_dict(weights)
    return model.eval()


def _hf_config(model: GPT, dtype: str) -> dict[str, Any]:
    config = model.config
    return {
        "architectures": ["Qwen3ForCausalLM"],
        **_ONLY,
        **{theirs: getattr(config, ours) for theirs, ours in _FIELDS.items()},
        "head_dim": config.resolved_head_dim,
        "intermediate_size": config.resolved_d_ff,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_dropout": 0.0,
        "use_cache": True,
        "vocab_size": model.vocab_size,
        "dtype": dtype,
    }


def _read_config(path: Path) -> tuple[GPTConfig, int]:
    """Return the model's shape and vocabulary size."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a model's configuration: {error}.") from error
    for key, only in _ONLY.items():
        if values.get(key, only) != only:
            raise DataError(f"{path} asks for {key}={values[key]!r}; lmexp's GPT computes only {only!r}.")
    rope = values.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise DataError(
            f"{path} asks for rope_type={rope['rope_type']!r}; lmexp's GPT computes only 'default'."
        )
    try:
        fields = {ours: values[theirs] for theirs, ours in _FIELDS.items()}
        return GPTConfig(**fields, rope_theta=rope["rope_theta"]), int(values["vocab_size"])
    except KeyError as error:
        raise DataError(f"{path} lacks the key {error}, which a Qwen3 configuration has.") from error
    except ConfigError as error:
        raise DataError(f"{path} describes no valid model: {error}") from error


def _check_names(path: Path, *, expected: set[str], found: set[str]) -> None:
    for names, words in ((expected - found, "lacks"), (found - expected, "holds the unknown")):
        if names:
            raise DataError(
                f"{path} {words} tensor {min(names)} ({len(names)} in all); it is not of the model that "
                f"its config.json describes."
            )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
