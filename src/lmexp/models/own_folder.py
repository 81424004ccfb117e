"""A network that Hugging Face has no name for, as a folder: config.json and model.safetensors.

    {"family": "lstm", "format": 1, "model": {...}, "vocab_size": 512, "dtype": "float32", "eos_token_id": 0}

`model` holds every field of the family's configuration. The tensors have the names of its network. Of a
family that a user's own file defines, `file` is that file's name, for a person: nothing is imported by it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save_file
from torch import Tensor

from lmexp.core.values.config import build, to_dict
from lmexp.core.values.files import write_json
from lmexp.errors import ConfigError, DataError
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS
from lmexp.models.network import Network
from lmexp.models.vocabulary import vocabulary_size
from lmexp.models.weights import WEIGHTS, check_names, check_shape, dtype_of, load_weights

FORMAT = 1


def save_network(model: Network, directory: Path, *, eos_token_id: int) -> None:
    """Write a network into `directory`, which exists."""
    file = NETWORKS.extension_of(model.config)
    values = {
        "family": model.family,
        **({} if file is None else {"file": file.name}),
        "format": FORMAT,
        "model": to_dict(model.config),
        "vocab_size": model.vocab_size,
        "dtype": dtype_of(model),
        "eos_token_id": eos_token_id,
    }
    write_json(directory / "config.json", values)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})


def load_network(directory: Path, values: Mapping[str, Any]) -> Network:
    """Return the network in `directory`, whose config.json holds `values`.

    Errors: `DataError` for a configuration or a tensor that is not the family's.
    """
    file, path = directory / "config.json", directory / WEIGHTS
    if values.get("format") != FORMAT:
        raise DataError(f"{file} is of format {values.get('format')!r}; lmexp reads format {FORMAT}.")
    shape = values.get("model")
    if not isinstance(shape, Mapping):
        raise DataError(f"{file} lacks the key 'model', the shape of the network.")
    try:
        config = cast(ModelConfig, build(NETWORKS.kinds[values["family"]], shape))
        vocab_size = vocabulary_size(values.get("vocab_size"))
    except ConfigError as error:
        raise DataError(f"{file} describes no valid model: {error}") from error

    def read(opened: Any, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        check_names(path, expected=set(expected), found=set(opened.keys()))
        for name, tensor in expected.items():
            check_shape(path, name, opened.get_slice(name).get_shape(), tensor.shape)
        return {name: opened.get_tensor(name) for name in expected}

    return load_weights(path, config, vocab_size, read)
