"""The families of networks, one folder each; this is the one place that names them all.

A family's folder has `config.py`, which imports no torch; `network.py` with its `NETWORK`; and
`transformers.py` with its `FORMAT`, how Hugging Face writes it.
"""

import importlib
from types import ModuleType

from lmexp.core.values.one_of import OneOf
from lmexp.models.config import NetworkConfig
from lmexp.models.families.gpt2 import GPT2Config
from lmexp.models.families.qwen3 import GPTConfig

__all__ = ["NETWORKS", "GPT2Config", "GPTConfig", "module_of"]

NETWORKS = OneOf(
    key="architecture",
    kinds={"qwen3": GPTConfig, "gpt2": GPT2Config},
    unnamed="qwen3",
    shared=("context_length",),
)
"""The configuration of each family."""


def module_of(config: NetworkConfig, name: str) -> ModuleType:
    """Return a module of the family that a configuration is of: `network` or `transformers`."""
    return importlib.import_module(f"{__name__}.{NETWORKS.kind_of(config)}.{name}")
