"""The families of models, one folder each; this is the one place that names them all.

A family's folder has `config.py`, which imports neither torch nor numpy. A network's has `network.py` with
its `NETWORK` and, where Hugging Face's transformers knows it, `transformers.py` with its `FORMAT`. A family
that is counted has `model.py` with its `MODEL`, which `fit` makes, and `folder.py`, which saves and loads it.
"""

import dataclasses
import importlib
import importlib.util
import sys
from types import ModuleType

from lmexp.core.values.config import Config
from lmexp.core.values.one_of import OneOf
from lmexp.errors import ConfigError
from lmexp.models.config import ModelConfig
from lmexp.models.families.diffusion import DiffusionConfig
from lmexp.models.families.encoder import EncoderConfig
from lmexp.models.families.gpt2 import GPT2Config
from lmexp.models.families.mlp import MLPConfig
from lmexp.models.families.ngram import NGramConfig
from lmexp.models.families.qwen3 import GPTConfig
from lmexp.models.families.recurrent import GRUConfig, LSTMConfig, RNNConfig

__all__ = [
    "MODELS",
    "NETWORKS",
    "DiffusionConfig",
    "EncoderConfig",
    "GPT2Config",
    "GPTConfig",
    "GRUConfig",
    "LSTMConfig",
    "MLPConfig",
    "NGramConfig",
    "RNNConfig",
    "module_of",
    "register_network",
]

_NETWORKS: dict[str, type[Config]] = {
    "qwen3": GPTConfig,
    "gpt2": GPT2Config,
    "mlp": MLPConfig,
    "rnn": RNNConfig,
    "gru": GRUConfig,
    "lstm": LSTMConfig,
    "encoder": EncoderConfig,
    "diffusion": DiffusionConfig,
}

NETWORKS = OneOf(
    key="architecture",
    kinds=_NETWORKS,
    unnamed="qwen3",
    shared=("context_length",),
    beside={"context_length": "sample_length"},
)
"""The configurations of networks, which are trained."""

MODELS = dataclasses.replace(NETWORKS, kinds={**_NETWORKS, "ngram": NGramConfig})
"""The configurations of all models."""


def register_network(name: str, cls: type[ModelConfig]) -> None:
    """Add a network of one's own, `model.architecture=<name>`; see docs/add-a-model.md.

    The file that calls this defines `cls` and, as `NETWORK`, what builds it.
    Errors: those of `OneOf.register`.
    """
    for union in (NETWORKS, MODELS):
        union.register(name, cls, base=ModelConfig)


def module_of(config: ModelConfig, name: str) -> ModuleType:
    """Return a module of the family that a configuration is of: `network` or `transformers`.

    A user's own family is one file, which is all of its modules.
    Errors: `ConfigError` for such a file without a network.
    """
    return _module(type(config), name)


def check_own_network(config: ModelConfig) -> None:
    """Raise `ConfigError` where a user's own file defines no network for a configuration; imports nothing."""
    if not _is_shipped(type(config)):
        _module(type(config), "network")


def module_of_kind(kind: str, name: str) -> ModuleType:
    """Return a module of the family with this name."""
    return _module(MODELS.kinds[kind], name)


def has_module(config: ModelConfig, name: str) -> bool:
    """Say whether the family of a configuration has a module."""
    if not _is_shipped(type(config)):
        return False
    return importlib.util.find_spec(_module_name(type(config), name)) is not None


def _module(cls: type[Config], name: str) -> ModuleType:
    if _is_shipped(cls):
        return importlib.import_module(_module_name(cls, name))
    module = sys.modules[cls.__module__]
    if not isinstance(getattr(module, "NETWORK", None), type):
        raise ConfigError(
            f"{module.__file__} registers {cls.__name__} and has no NETWORK; end it with NETWORK = the class "
            f"of the network."
        )
    return module


def _is_shipped(cls: type[Config]) -> bool:
    return cls.__module__.startswith(f"{__name__}.")


def _module_name(cls: type[Config], name: str) -> str:
    return f"{cls.__module__.rpartition('.')[0]}.{name}"
