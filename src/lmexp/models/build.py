"""From a configuration to a fresh model of its family."""

from lmexp.models.config import NetworkConfig
from lmexp.models.families import module_of
from lmexp.models.language_model import LanguageModel


def build_model(config: NetworkConfig, vocab_size: int, seed: int = 0) -> LanguageModel:
    """Return a model with `vocab_size` ids and weights drawn from `seed`, in fp32 on the CPU."""
    return module_of(config, "network").NETWORK(config, vocab_size, seed=seed)  # type: ignore[no-any-return]
