"""A network as a folder that Hugging Face reads: JSON and safetensors, never pickle.

`save_network` writes config.json (``Qwen3ForCausalLM`` or ``GPT2LMHeadModel``, as transformers 5 spells
them), generation_config.json and model.safetensors; with the tokenizer's files beside them,
``AutoModelForCausalLM.from_pretrained`` loads the folder. `load_network` reads such a folder back, ours
or one that transformers saved. Weights keep their dtype; a tied head is stored once, as the embedding.
"""

import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lmexp.errors import ConfigError, DataError
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS, has_module, module_of
from lmexp.models.network import Network
from lmexp.models.transformers_format import TransformersFormat
from lmexp.models.vocabulary import vocabulary_size
from lmexp.models.weights import WEIGHTS, check_names, check_shape, dtype_of, load_weights

_HEAD = "lm_head.weight"


def save_network(model: Network, directory: Path, *, eos_token_id: int) -> None:
    """Write `model` into `directory`, which exists.

    `eos_token_id` ends a text, and also starts one: documents are packed with it between them. It pads
    prompts that are continued together, too.
    """
    family = format_of(model.config)
    weights = {
        name: _turn(family, name, tensor.detach().cpu()).contiguous()
        for name, tensor in model.state_dict().items()
    }
    ids = {"bos_token_id": eos_token_id, "eos_token_id": eos_token_id}
    _write_json(directory / "config.json", _hf_config(model) | ids)
    new = {"max_new_tokens": max(1, (model.config.longest or 2) // 2)}  # more would not fit behind a prompt
    how = {"pad_token_id": eos_token_id, "do_sample": True, **new}
    _write_json(directory / "generation_config.json", ids | how)
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def load_network(directory: Path, values: Mapping[str, Any]) -> Network:
    """Return the network that `directory` holds, whose config.json holds `values`.

    Errors: `DataError` if a file is missing or unreadable, if the configuration asks for what the
    family does not compute, if a tensor's name, shape or dtype is not what the configuration says, or
    if a weight is not finite.
    """
    config, vocab_size = _read_config(directory / "config.json", values)
    path = directory / WEIGHTS
    return load_weights(
        path, config, vocab_size, lambda file, expected: _read_weights(path, file, config, expected)
    )


def _read_weights(
    path: Path, file: Any, config: ModelConfig, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of an open file by our names. Errors: `DataError` where they are not `expected`."""
    family = format_of(config)
    names = _full_names(path, family, file.keys())
    found = {name for name in names if not name.endswith(family.constants)}
    twice = _HEAD not in expected and _HEAD in found  # some tools store the tied head, too
    check_names(path, expected=set(expected), found=found - {_HEAD} if twice else found)
    for name, tensor in expected.items():
        shape, meant = file.get_slice(names[name]).get_shape(), _turn(family, name, tensor).shape
        check_shape(path, name, shape, meant)
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


def format_of(config: ModelConfig) -> TransformersFormat:
    """Return how Hugging Face writes the models of a configuration's family."""
    return module_of(config, "transformers").FORMAT  # type: ignore[no-any-return]


def computes(values: Mapping[str, Any]) -> bool:
    """Return whether lmexp has a family for the architecture that a config.json names."""
    return values.get("model_type", NETWORKS.unnamed) in _formats()


def _formats() -> dict[str, TransformersFormat]:
    """Return the format of each `model_type` that lmexp computes."""
    shapes = [typing.cast(ModelConfig, cls()) for cls in NETWORKS.kinds.values()]
    formats = [format_of(config) for config in shapes if has_module(config, "transformers")]
    return {family.only["model_type"]: family for family in formats}


def _hf_config(model: Network) -> dict[str, Any]:
    of_all = {"use_cache": True, "vocab_size": model.vocab_size, "dtype": dtype_of(model)}
    return format_of(model.config).written(model.config, of_all)


def _read_config(path: Path, values: Mapping[str, Any]) -> tuple[ModelConfig, int]:
    """Return the model's shape and vocabulary size."""
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
        return config, vocabulary_size(values["vocab_size"])
    except KeyError as error:
        raise DataError(
            f"{path} lacks the key {error}, which a configuration of {family.hf_class} has."
        ) from error
    except ConfigError as error:
        raise DataError(f"{path} describes no valid model: {error}") from error


def _rope(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of RoPE, which transformers 4 wrote beside each other and 5 writes nested."""
    nested = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(nested, Mapping):
        return {"rope_type": nested}
    return {**({"rope_theta": values["rope_theta"]} if "rope_theta" in values else {}), **nested}


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
