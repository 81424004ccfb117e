"""A model as a folder that Hugging Face reads: JSON and safetensors, never pickle.

`save_model` writes config.json (``Qwen3ForCausalLM`` or ``GPT2LMHeadModel``, as transformers 5 spells
them), generation_config.json and model.safetensors; with the tokenizer's files beside them,
``AutoModelForCausalLM.from_pretrained`` loads the folder. `load_model` reads such a folder back, ours
or one that transformers saved. Weights keep their dtype; a tied head is stored once, as the embedding.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmexp.core.files import read_json
from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.models.config import GPTConfig
from lmexp.models.language_model import LanguageModel

WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class _Family:
    """How Hugging Face writes the models of one `GPTConfig.architecture`."""

    hf_class: str
    """Name of the class in transformers."""

    only: Mapping[str, Any]
    """Settings of which we compute one value; an absent key means that value."""

    fields: Mapping[str, str]
    """Hugging Face's name of each field of `GPTConfig`, but for RoPE's, which are nested."""

    absent: Mapping[str, Any]
    """What it means where one of Hugging Face's names is absent; the others are required."""

    prefix: str = ""
    """What old files leave out before the names of all tensors but the head."""

    turned: tuple[str, ...] = ()
    """Ends of the names of the matrices that are stored as ``[in, out]``."""

    constants: tuple[str, ...] = ()
    """Ends of the names of tensors in old files that are no weights."""


_FAMILIES = {
    "qwen3": _Family(
        hf_class="Qwen3ForCausalLM",
        only={
            "model_type": "qwen3",
            "hidden_act": "silu",
            "attention_bias": False,
            "use_sliding_window": False,
        },
        fields={
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
        },
        absent={},
    ),
    "gpt2": _Family(
        hf_class="GPT2LMHeadModel",
        only={
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
        },
        fields={
            "n_positions": "context_length",
            "n_layer": "num_layers",
            "n_head": "num_heads",
            "n_embd": "d_model",
            "n_inner": "d_ff",
            "tie_word_embeddings": "tie_embeddings",
            "layer_norm_epsilon": "norm_eps",
            "initializer_range": "init_std",
        },
        absent={"n_inner": None, "tie_word_embeddings": True},
        prefix="transformer.",
        turned=("c_attn.weight", "c_proj.weight", "c_fc.weight"),
        constants=(".attn.bias", ".attn.masked_bias"),
    ),
}


def save_model(model: LanguageModel, directory: Path, *, eos_token_id: int) -> None:
    """Write `model` into `directory`, which is made if it is missing.

    `eos_token_id` ends a text, and also starts one: documents are packed with it between them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    family = _FAMILIES[model.config.architecture]
    weights = {
        name: _turn(family, name, tensor.detach().cpu()).contiguous()
        for name, tensor in model.state_dict().items()
    }
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    ids = {"bos_token_id": eos_token_id, "eos_token_id": eos_token_id}
    _write_json(directory / "config.json", _hf_config(model, dtype) | ids)
    _write_json(directory / "generation_config.json", ids | {"do_sample": True})
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def load_model(directory: Path) -> LanguageModel:
    """Return the model that `directory` holds, on the CPU and in the stored dtype.

    Errors: `DataError` if a file is missing or unreadable, if the configuration asks for what the
    family does not compute, or if a tensor's name, shape or dtype is not what the configuration says.
    """
    config, vocab_size = _read_config(directory / "config.json")
    family = _FAMILIES[config.architecture]
    path = directory / WEIGHTS
    if not path.is_file():
        raise DataError(f"{directory} holds no {WEIGHTS}; a model folder needs it in one piece.")
    model = build_model(config, vocab_size)
    expected = model.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            names = _full_names(family, file.keys())
            found = {name for name in names if not name.endswith(family.constants)}
            if config.tie_embeddings:
                found.discard("lm_head.weight")  # some tools store the tied head twice
            _check_names(path, expected=set(expected), found=found)
            for name, tensor in expected.items():
                shape, meant = file.get_slice(names[name]).get_shape(), _turn(family, name, tensor).shape
                if shape != list(meant):
                    raise DataError(
                        f"{path} stores {name} with shape {shape}, and its config.json means "
                        f"{list(meant)}; the two files are not of one model."
                    )
            weights = {name: _turn(family, name, file.get_tensor(names[name])) for name in expected}
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); save it again.") from error
    dtypes = {tensor.dtype for tensor in weights.values()}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        raise DataError(f"{path} mixes the dtypes {sorted(map(str, dtypes))}; a model has one.")
    model.to(dtypes.pop()).load_state_dict(weights)
    return model.eval()


def _turn(family: _Family, name: str, tensor: Tensor) -> Tensor:
    """Return the tensor `name` as the file has it, from ours, or the other way round."""
    return tensor.mT if name.endswith(family.turned) else tensor


def _full_names(family: _Family, names: Iterable[str]) -> dict[str, str]:
    """Return, by its whole name, the name in the file of each tensor."""
    whole = (family.prefix, "lm_head.")
    return {name if name.startswith(whole) else family.prefix + name: name for name in names}


def _hf_config(model: LanguageModel, dtype: str) -> dict[str, Any]:
    config = model.config
    family = _FAMILIES[config.architecture]
    values = {
        "architectures": [family.hf_class],
        **family.only,
        **{theirs: getattr(config, ours) for theirs, ours in family.fields.items()},
        "use_cache": True,
        "vocab_size": model.vocab_size,
        "dtype": dtype,
    }
    if config.architecture == "gpt2":
        dropout = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0)
        return values | dropout | {"n_inner": config.resolved_d_ff}
    return values | {
        "head_dim": config.resolved_head_dim,
        "intermediate_size": config.resolved_d_ff,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_dropout": 0.0,
    }


def _read_config(path: Path) -> tuple[GPTConfig, int]:
    """Return the model's shape and vocabulary size."""
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a model's configuration: {error}.") from error
    architecture = values.get("model_type", "qwen3") if isinstance(values, dict) else values
    if not isinstance(architecture, str) or architecture not in _FAMILIES:
        families = " and ".join(_FAMILIES)
        raise DataError(f"{path} asks for model_type={architecture!r}; lmexp computes only {families}.")
    family = _FAMILIES[architecture]
    for key, only in family.only.items():
        if values.get(key, only) != only:
            raise DataError(f"{path} asks for {key}={values[key]!r}; lmexp's GPT computes only {only!r}.")
    rope = _rope(values)
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type != "default":
        raise DataError(f"{path} asks for rope_type={rope_type!r}; lmexp's GPT computes only 'default'.")
    try:
        known = {**family.absent, **values}
        fields = {ours: known[theirs] for theirs, ours in family.fields.items()}
        if architecture == "qwen3":
            fields["rope_theta"] = rope["rope_theta"]
        return GPTConfig(architecture=architecture, **fields), _positive(values["vocab_size"])
    except KeyError as error:
        raise DataError(
            f"{path} lacks the key {error}, which a configuration of {family.hf_class} has."
        ) from error
    except ConfigError as error:
        raise DataError(f"{path} describes no valid model: {error}") from error


def _positive(vocab_size: Any) -> int:
    """Return a vocabulary size that can be one. Errors: `ConfigError`."""
    if type(vocab_size) is not int or vocab_size < 1:
        raise ConfigError(f"vocab_size must be a positive integer, was {vocab_size!r}.")
    return vocab_size


def _rope(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of RoPE, which transformers 4 wrote beside each other and 5 writes nested."""
    nested = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(nested, Mapping):
        return {"rope_type": nested}
    return {**({"rope_theta": values["rope_theta"]} if "rope_theta" in values else {}), **nested}


def _check_names(path: Path, *, expected: set[str], found: set[str]) -> None:
    for names, words in ((expected - found, "lacks"), (found - expected, "holds the unknown")):
        if names:
            raise DataError(
                f"{path} {words} tensor {min(names)} ({len(names)} in all); it is not of the model that "
                f"its config.json describes."
            )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
