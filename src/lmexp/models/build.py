"""From a configuration to a fresh model of its family."""

from lmexp.models.config import GPTConfig
from lmexp.models.gpt import GPT
from lmexp.models.gpt2 import GPT2
from lmexp.models.language_model import LanguageModel

FAMILIES: dict[str, type[GPT] | type[GPT2]] = {"qwen3": GPT, "gpt2": GPT2}
"""The class of each `GPTConfig.architecture`."""


def build_model(config: GPTConfig, vocab_size: int, seed: int = 0) -> LanguageModel:
    """Return a model with `vocab_size` ids and weights drawn from `seed`, in fp32 on the CPU."""
    return FAMILIES[config.architecture](config, vocab_size, seed=seed)
