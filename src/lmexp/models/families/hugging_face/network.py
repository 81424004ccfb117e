"""A causal model of transformers behind lmexp's interface of networks, in fp32 and without a state.

The network's own last step to logits may scale or bend them, so it is not taken apart: what stands for a
hidden state here are its logits, and `logits` gives them back. That takes ``[B, T, V]`` of memory.

Weights are read from safetensors alone, by the code of the installed transformers alone: a folder that brings
code of its own is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmexp.errors import DataError
from lmexp.models.families.hugging_face.config import HuggingFaceConfig
from lmexp.models.network import CausalNetwork

_LENGTHS = ("max_position_embeddings", "n_positions", "seq_length")
"""What architectures call the longest sequence."""


class HuggingFace(CausalNetwork):
    """A network that reads a text as a whole."""

    embeddings = frozenset()

    def __init__(self, inner: nn.Module, config: HuggingFaceConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.inner = inner

    @property
    def family(self) -> str:
        """No kind of lmexp's, but the one name for all of them."""
        return "hugging_face"

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The model as a whole."""
        return [self.inner]

    def new_state(self, num_rows: int) -> Any:
        """There is none: the model cannot do what a state is for."""
        raise AssertionError(f"a model without the capability streams was asked to read {num_rows} rows on")

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: Any = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Return the logits ``[B, T, V]``."""
        assert state is None and lengths is None and documents is None, "it can do none of these"  # noqa: PT018
        return self.inner(input_ids=input_ids, use_cache=False).logits  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return what is given, which are logits."""
        return hidden


def load(directory: Path, values: Mapping[str, Any]) -> HuggingFace:
    """Return the model in `directory`, whose config.json holds `values`, on the CPU.

    Errors: `DataError` where transformers is not installed, cannot read the model, or would need code that
    the folder brings; and where nothing says how long a text may be.
    """
    if "auto_map" in values:
        raise DataError(
            f"{directory} brings code of its own (auto_map in config.json), which lmexp does not run; take a "
            f"model that the installed transformers computes."
        )
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise DataError(
            f"{directory} is a {values.get('model_type')}, which the package transformers computes, and that "
            "is not installed here; the extra hf of lmexp states its versions."
        ) from None
    try:
        inner = AutoModelForCausalLM.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{directory} cannot be read by transformers: {str(error).splitlines()[0]}"
        ) from error
    longest = next((values[name] for name in _LENGTHS if isinstance(values.get(name), int)), None)
    if longest is None:
        raise DataError(f"{directory / 'config.json'} has none of {', '.join(_LENGTHS)}; add the right one.")
    config = HuggingFaceConfig(model_type=str(values.get("model_type")), context_length=longest)
    return HuggingFace(inner, config, int(inner.config.vocab_size)).eval()
