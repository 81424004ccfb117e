"""A model as a folder that Hugging Face reads: JSON and safetensors, never pickle.

`save_model` writes config.json (``Qwen3ForCausalLM`` or ``GPT2LMHeadModel``, as transformers 5 spells
them), generation_config.json and model.safetensors; with the tokenizer's files beside them,
``AutoModelForCausalLM.from_pretrained`` loads the folder. `load_model` reads such a folder back, ours
or one that transformers saved. Weights keep their dtype; a tied head is stored once, as the embedding.
"""

import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmexp.core.values.foreign import read_object
from lmexp.errors import ConfigError, DataError
from lmexp.models.build import build_model
from lmexp.models.config import NetworkConfig
from lmexp.models.families import NETWORKS, module_of
from lmexp.models.finite import first_not_finite
from lmexp.models.language_model import LanguageModel
from lmexp.models.transformers_format import TransformersFormat

WEIGHTS = "model.safetensors"

_HEAD = "lm_head.weight"
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_MOST_IDS = 2**24
"""Largest vocabulary; a larger one is a damaged number."""


def save_model(model: LanguageModel, directory: Path, *, eos_token_id: int) -> None:
    """Write `model` into `directory`, which is made if it is missing.

    `eos_token_id` ends a text, and also starts one: documents are packed with it between them. It pads
    prompts that are continued together, too.
    """
    directory.mkdir(parents=True, exist_ok=True)
    family = format_of(model.config)
    weights = {
        name: _turn(family, name, tensor.detach().cpu()).contiguous()
        for name, tensor in model.state_dict().items()
    }
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    ids = {"bos_token_id": eos_token_id, "eos_token_id": eos_token_id}
    _write_json(directory / "config.json", _hf_config(model, dtype) | ids)
    new = {"max_new_tokens": max(1, model.config.context_length // 2)}  # more would not fit behind a prompt
    how = {"pad_token_id": eos_token_id, "do_sample": True, **new}
    _write_json(directory / "generation_config.json", ids | how)
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def load_model(directory: Path) -> LanguageModel:
    """Return the model that `directory` holds, on the CPU and in the stored dtype.

    Errors: `DataError` if a file is missing or unreadable, if the configuration asks for what the
    family does not compute, if a tensor's name, shape or dtype is not what the configuration says, or
    if a weight is not finite.
    """
    config, vocab_size = _read_config(directory / "config.json")
    path = directory / WEIGHTS
    if not path.is_file():
        raise DataError(f"{directory} holds no {WEIGHTS}; a model folder needs it in one piece.")
    with torch.device("meta"):  # no memory is taken for what the file may not hold
        model = build_model(config, vocab_size)
    try:
        with safe_open(path, framework="pt") as file:
            weights = _read_weights(path, file, config, model.state_dict())
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); save it again.") from error
    dtypes = {tensor.dtype for tensor in weights.values()}
    if len(dtypes) != 1:
        raise DataError(f"{path} mixes the dtypes {sorted(map(str, dtypes))}; a model has one.")
    if not dtypes <= set(_DTYPES):
        raise DataError(
            f"{path} stores weights as {dtypes.pop()}; lmexp computes with {', '.join(map(str, _DTYPES))}."
        )
    damaged = first_not_finite(weights)
    if damaged is not None:
        raise DataError(
            f"{path} holds a NaN or an infinity in the tensor {damaged}: training diverged, or the file is "
            f"damaged; take an earlier checkpoint."
        )
    model.to(dtypes.pop()).to_empty(device="cpu").load_state_dict(weights)
    return model.eval()


def _read_weights(
    path: Path, file: Any, config: NetworkConfig, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of an open file by our names. Errors: `DataError` where they are not `expected`."""
    family = format_of(config)
    names = _full_names(path, family, file.keys())
    found = {name for name in names if not name.endswith(family.constants)}
    twice = _HEAD not in expected and _HEAD in found  # some tools store the tied head, too
    _check_names(path, expected=set(expected), found=found - {_HEAD} if twice else found)
    for name, tensor in expected.items():
        shape, meant = file.get_slice(names[name]).get_shape(), _turn(family, name, tensor).shape
        if shape != list(meant):
            raise DataError(
                f"{path} stores {name} with shape {shape}, and its config.json means "
                f"{list(meant)}; the two files are not of one model."
            )
    weights = {name: _turn(family, name, file.get_tensor(names[name])) for name in expected}
    if twice and not torch.equal(file.get_tensor(names[_HEAD]), weights[family.embedding]):
        raise DataError(
            f"{path} stores a {_HEAD} that is not the embedding, and its config.json ties the two; set "
            f"tie_word_embeddings to false there."
        )
    return weights


def _turn(family: TransformersFormat, name: str, tensor: Tensor) -> Tensor:
    """Return the tensor `name` as the file has it, from ours, or the other way round."""
    return tensor.mT if name.endswith(family.turned) else tensor


def _full_names(path: Path, family: TransformersFormat, names: Sequence[str]) -> dict[str, str]:
    """Return, by its whole name, the name in the file of each tensor."""
    whole = (family.prefix, "lm_head.")
    full = {name if name.startswith(whole) else family.prefix + name: name for name in names}
    if len(full) < len(names):
        raise DataError(f"{path} stores a tensor with and without the prefix {family.prefix!r}; keep one.")
    return full


def format_of(config: NetworkConfig) -> TransformersFormat:
    """Return how Hugging Face writes the models of a configuration's family."""
    return module_of(config, "transformers").FORMAT  # type: ignore[no-any-return]


def _formats() -> dict[str, TransformersFormat]:
    """Return the format of each `model_type` that lmexp computes."""
    formats = (format_of(typing.cast(NetworkConfig, cls())) for cls in NETWORKS.kinds.values())
    return {family.only["model_type"]: family for family in formats}


def _hf_config(model: LanguageModel, dtype: str) -> dict[str, Any]:
    of_all = {"use_cache": True, "vocab_size": model.vocab_size, "dtype": dtype}
    return format_of(model.config).written(model.config, of_all)


def _read_config(path: Path) -> tuple[NetworkConfig, int]:
    """Return the model's shape and vocabulary size."""
    values = read_object(path)
    formats = _formats()
    model_type = values.get("model_type", NETWORKS.unnamed)
    if not isinstance(model_type, str) or model_type not in formats:
        families = " and ".join(formats)
        raise DataError(f"{path} asks for model_type={model_type!r}; lmexp computes only {families}.")
    family = formats[model_type]
    for key, only in family.only.items():
        if values.get(key, only) != only:
            raise DataError(f"{path} asks for {key}={values[key]!r}; lmexp's GPT computes only {only!r}.")
    rope = _rope(values)
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type != "default":
        raise DataError(f"{path} asks for rope_type={rope_type!r}; lmexp's GPT computes only 'default'.")
    try:
        config = family.config_class(**family.read(values, rope))
        return config, _positive(values["vocab_size"])
    except KeyError as error:
        raise DataError(
            f"{path} lacks the key {error}, which a configuration of {family.hf_class} has."
        ) from error
    except ConfigError as error:
        raise DataError(f"{path} describes no valid model: {error}") from error


def _positive(vocab_size: Any) -> int:
    """Return a vocabulary size that can be one. Errors: `ConfigError`."""
    if type(vocab_size) is not int or not 1 <= vocab_size <= _MOST_IDS:
        raise ConfigError(f"vocab_size must be a positive integer up to {_MOST_IDS:,}, was {vocab_size!r}.")
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
