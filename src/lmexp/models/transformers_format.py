"""How Hugging Face's transformers writes the models of a family: names of settings and of tensors."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmexp.models.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class TransformersFormat:
    """How Hugging Face writes the models of one family."""

    config_class: type[ModelConfig]
    """The family's own configuration."""

    hf_class: str
    """Name of the class in transformers."""

    embedding: str
    """Name of the tensor that a tied head is."""

    only: Mapping[str, Any]
    """Settings of which we compute one value; an absent key means that value."""

    fields: Mapping[str, str]
    """Hugging Face's name of each field of the configuration that it writes unnested."""

    absent: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What it means where one of Hugging Face's names is absent; the others are required."""

    prefix: str = ""
    """What old files leave out before the names of all tensors but the head."""

    turned: tuple[str, ...] = ()
    """Ends of the names of the matrices that are stored as ``[in, out]``."""

    constants: tuple[str, ...] = ()
    """Ends of the names of tensors in old files that are no weights."""

    def written(self, config: ModelConfig, of_all: Mapping[str, Any]) -> dict[str, Any]:
        """Return a model's settings as Hugging Face writes them, with those that all families have."""
        fields = {theirs: getattr(config, ours) for theirs, ours in self.fields.items()}
        return {"architectures": [self.hf_class], **self.only, **fields, **of_all}

    def read(self, values: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return our fields from Hugging Face's settings, and from those of RoPE, which two versions nest.

        Errors: `KeyError` for a setting that is required and absent.
        """
        known = {**self.absent, **values}
        return {ours: known[theirs] for theirs, ours in self.fields.items()}
