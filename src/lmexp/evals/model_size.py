"""How many bytes a model takes, when somebody who has the program is to be told it.

A receiver who has lmexp needs the model's configuration, its tokenizer and its weights. Three forms of the
weights are counted, all compressed by zstd -19, with the bytes of equal place in each number side by side:

    stored   every number as it is
    bf16     the nearest bf16 of each
    int8     of a matrix, each row (last axis) w becomes q = round(127 w / max|w|) in one byte a number and
             max|w| as fp32; of a vector, the nearest bf16

Names and shapes follow from the configuration and are not counted; the program is not either, as it is not
for a compressor. Counts (an n-gram model's) are whole numbers, which are told as they are.

The two-part code length of a text (Rissanen 1978, "Modeling by shortest data description") is that of the
model and that of the text under it, with the weights as they arrive:

    two_part_bits_per_byte = (8 x bytes of the model + nats / ln 2) / bytes of the text
"""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import zstandard
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmexp.models.weights import WEIGHTS

FORMS = ("stored", "bf16", "int8")

TEXTS = ("config.json", "generation_config.json", "tokenizer*", "special_tokens*")
"""Names of the files beside the weights that a model is made of, those of a tokenizer of one's own too."""

_LEVEL = 19


def forms_of(folder: Path) -> tuple[str, ...]:
    """Return the forms that the weights of the model in `folder` can be told in: counts are told exactly."""
    return FORMS if any(t.is_floating_point() for t in _tensors(folder).values()) else FORMS[:1]


def stored_bytes(folder: Path) -> int:
    """Return the bytes of the files that the model in `folder` is made of."""
    return sum(path.stat().st_size for path in (*_texts(folder), folder / WEIGHTS))


def coded_bytes(folder: Path, form: str) -> int:
    """Return the bytes of the model in `folder` with its weights in a form, all compressed."""
    texts = b"".join(path.read_bytes() for path in _texts(folder))
    parts = [part for _, tensor in sorted(_tensors(folder).items()) for part in _coded(tensor, form)]
    return _compressed(texts) + sum(_compressed(part) for part in _joined(parts))


def write_as_told(folder: Path, form: str, out: Path) -> None:
    """Write the model as a receiver of that form has it into `out`, in the dtype that it was stored in."""
    out.mkdir(parents=True, exist_ok=True)
    for path in _texts(folder):
        shutil.copyfile(path, out / path.name)
    told = {name: _told(tensor, form) for name, tensor in _tensors(folder).items()}
    save_file(told, out / WEIGHTS, metadata={"format": "pt"})


def _texts(folder: Path) -> list[Path]:
    """Return the files of `TEXTS` that are there, in their order."""
    return [path for name in TEXTS for path in sorted(folder.glob(name)) if path.is_file()]


def two_part_bits_per_byte(model_bytes: int, bits_per_byte: float, text_bytes: int) -> float:
    """Return the code length of a model and a text of `text_bytes` under it, in bits per byte of the text."""
    return 8 * model_bytes / text_bytes + bits_per_byte


def _tensors(folder: Path) -> dict[str, Tensor]:
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping


def _coded(tensor: Tensor, form: str) -> list[np.ndarray]:
    """Return the arrays that a tensor is told as."""
    if form == "stored" or not tensor.is_floating_point():
        as_whole = {torch.bfloat16: torch.int16, torch.float16: torch.int16}.get(tensor.dtype)
        return [(tensor if as_whole is None else tensor.view(as_whole)).numpy()]
    if form == "bf16" or tensor.ndim < 2:
        return [tensor.to(torch.bfloat16).view(torch.int16).numpy()]
    largest, whole = _whole(tensor)
    return [whole.numpy(), largest.numpy()]


def _told(tensor: Tensor, form: str) -> Tensor:
    """Return the tensor that arrives."""
    if form == "stored" or not tensor.is_floating_point():
        return tensor
    if form == "bf16" or tensor.ndim < 2:
        return tensor.to(torch.bfloat16).to(tensor.dtype)
    largest, whole = _whole(tensor)
    return (whole.float() * largest / 127).to(tensor.dtype)


def _whole(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return max|w| of each row, ``[..., 1]`` in fp32, and the row in whole numbers from -127 to 127."""
    values = tensor.float()
    largest = values.abs().amax(dim=-1, keepdim=True)
    scaled = torch.where(largest > 0, 127 * values / largest, torch.zeros_like(values))
    return largest, scaled.round().to(torch.int8)


def _joined(parts: list[np.ndarray]) -> list[bytes]:
    """Return the bytes of all arrays, by the size of their numbers and the place of a byte in them."""
    planes: dict[tuple[int, int], list[bytes]] = {}
    for part in parts:
        size = part.dtype.itemsize
        table = np.ascontiguousarray(part).reshape(-1).view(np.uint8).reshape(-1, size)
        for place in range(size):
            planes.setdefault((size, place), []).append(table[:, place].tobytes())
    return [b"".join(planes[key]) for key in sorted(planes)]


def _compressed(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(data))


def code_lengths(
    sizes: Mapping[str, int], bits_per_byte: Mapping[str, float], text_bytes: int
) -> dict[str, float]:
    """Return ``two_part_bits_per_byte`` of the best form, and of each under ``.../<form>``.

    `sizes` are the bytes of the model and `bits_per_byte` those of the text under it, by form; one that gives
    the text no finite code is missing there. Which form it is costs the receiver less than a byte, and is not
    counted.
    """
    found = {
        f"two_part_bits_per_byte/{form}": two_part_bits_per_byte(sizes[form], bits, text_bytes)
        for form, bits in bits_per_byte.items()
        if math.isfinite(bits)
    }
    return {**({"two_part_bits_per_byte": min(found.values())} if found else {}), **found}
