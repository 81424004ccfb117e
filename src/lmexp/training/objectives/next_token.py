"""Each token from those before it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lmexp.models.network import CausalNetwork, Network
from lmexp.packing.batches import stacked
from lmexp.packing.samples import Samples
from lmexp.training.objectives.cross_entropy import nll_each, nll_sum
from lmexp.training.objectives.noise import Noise
from lmexp.training.objectives.objective import Batch


class NextToken:
    """The negative log-likelihood of the labels, which are the inputs one token later."""

    def __init__(self, eos_token_id: int | None) -> None:
        """Where `eos_token_id` is given, it tells the documents of a sample apart, which then stand alone."""
        self._eos_token_id = eos_token_id

    def batch(self, samples: Samples, indices: NDArray[np.int64], noise: Noise) -> Batch:  # noqa: ARG002
        """Return `input_ids`, `labels` and, where documents stand alone, `document_ids`, each ``[B, T]``."""
        return stacked(samples, indices, self._eos_token_id)

    def counts(
        self,
        samples: Samples,
        indices: NDArray[np.int64],
        noise: Noise,  # noqa: ARG002
    ) -> Mapping[str, int]:
        """Return the number of labels."""
        return {"next_token": samples.num_valid(indices)}

    def loss(self, network: Network, batch: Batch) -> Mapping[str, Tensor]:
        """Return the nats of all labels."""
        return {"next_token": nll_sum(self._logits(network, batch), batch["labels"])}

    def token_nats(self, network: Network, batch: Batch) -> Tensor:
        """Return the nats of each label ``[B T]``, 0 for an ignored one."""
        return nll_each(self._logits(network, batch), batch["labels"])

    def _logits(self, network: Network, batch: Batch) -> Tensor:
        if "state" in batch:  # rows read on from it, and move it on
            assert isinstance(network, CausalNetwork), "the configuration checks what the network can do"
            return network.logits(network.hidden_states(batch["input_ids"], state=batch["state"]))
        return network(batch["input_ids"], batch.get("document_ids"))  # type: ignore[no-any-return]
