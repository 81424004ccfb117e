"""The weights of a network in a file: model.safetensors, never pickle.

Weights keep their dtype; a tied head is stored once, as the embedding.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.config import ModelConfig
from lmexp.models.finite import first_not_finite
from lmexp.models.network import Network

WEIGHTS = "model.safetensors"

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

Read = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]
"""From an open file and the tensors that are expected, by our names, to those that it holds."""


def load_weights(path: Path, config: ModelConfig, vocab_size: int, read: Read) -> Network:
    """Return the network whose weights `path` holds, on the CPU and in the stored dtype.

    Errors: `DataError` if the file is missing or unreadable, if `read` refuses it, if dtypes are mixed or
    none that is computed with, or if a weight is not finite.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} holds no {WEIGHTS}; a model folder needs it in one piece.")
    with torch.device("meta"):  # no memory is taken for what the file may not hold
        model = build_model(config, vocab_size)
    try:
        with safe_open(path, framework="pt") as file:
            weights = read(file, model.state_dict())
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


def dtype_of(model: Network) -> str:
    """Return the name of the weights' dtype: `float32`."""
    return str(next(model.parameters()).dtype).removeprefix("torch.")


def check_shape(path: Path, name: str, stored: Sequence[int], meant: Sequence[int]) -> None:
    """Raise `DataError` where a tensor is not as large as the configuration says."""
    if list(stored) != list(meant):
        raise DataError(
            f"{path} stores {name} with shape {list(stored)}, and its config.json means "
            f"{list(meant)}; the two files are not of one model."
        )


def check_names(path: Path, *, expected: set[str], found: set[str]) -> None:
    """Raise `DataError` where tensors are missing, or there are others."""
    for names, words in ((expected - found, "lacks"), (found - expected, "holds the unknown")):
        if names:
            raise DataError(
                f"{path} {words} tensor {min(names)} ({len(names)} in all); it is not of the model that "
                f"its config.json describes."
            )
