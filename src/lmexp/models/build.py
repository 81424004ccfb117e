"""From a configuration to a fresh model of its family."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from lmexp.models.config import ModelConfig
from lmexp.models.families import module_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lmexp.models.interface import CountedModel
    from lmexp.models.network import Network


def build_model(config: ModelConfig, vocab_size: int, seed: int = 0) -> "Network":
    """Return a network with `vocab_size` ids and weights drawn from `seed`, in fp32 on the CPU."""
    return cast("Network", module_of(config, "network").NETWORK(config, vocab_size, seed=seed))


def count_model(
    config: ModelConfig,
    documents: "Iterable[NDArray[np.int64]]",
    *,
    vocab_size: int,
    bos_token_id: int,
    folder: "Path | None" = None,
) -> "CountedModel":
    """Return the model that counts `documents`, the ids of each; `bos_token_id` begins and ends one.

    What does not fit into memory is sorted in `folder`, which is empty and must stay as long as the model.
    """
    model = module_of(config, "model").MODEL
    return cast("CountedModel", model.fit(config, documents, vocab_size, bos_token_id, folder))
