"""Hidden tokens from all others (Devlin et al., arXiv 1810.04805).

Of the n tokens of a sample that are no ends of text, round(rate n) are drawn, at least one. Of these, each is
hidden by the mask, replaced by a token drawn from the whole vocabulary, or left as it is. All of them are
predicted, and nothing else is. How many they are depends on no noise.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmexp.models.network import MaskedNetwork, Network
from lmexp.packing.samples import IGNORED_LABEL, Samples
from lmexp.training.objectives.cross_entropy import nll_each, nll_sum
from lmexp.training.objectives.noise import Noise
from lmexp.training.objectives.objective import Batch


class MaskedToken:
    """The negative log-likelihood of hidden tokens."""

    def __init__(
        self,
        *,
        rate: float,
        masked: float,
        replaced: float,
        mask_token_id: int,
        eos_token_id: int,
        documents: bool,
    ) -> None:
        """The share `rate` of the tokens is predicted; for shares of these the mask (`masked`) or a token
        drawn at random (`replaced`) stands in.

        `mask_token_id` is one past the tokens that are drawn; `eos_token_id` stands between documents. With
        `documents` each of these stands alone.
        """
        self._rate = rate
        self._masked, self._replaced = masked, masked + replaced
        self._mask = mask_token_id
        self._eos = eos_token_id
        self._documents = documents

    def batch(self, samples: Samples, indices: NDArray[np.int64], noise: Noise) -> Batch:
        """Return `input_ids`, `labels` (-100 where nothing is predicted) and, where documents stand alone,
        `document_ids`, each ``[B, T]``."""
        rows = [self._hidden(samples.read(int(sample))[0], noise.of(int(sample))) for sample in indices]
        inputs, labels, originals = (np.stack(part) for part in zip(*rows, strict=True))
        batch = {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}
        if self._documents:
            batch["document_ids"] = torch.from_numpy((originals == self._eos).cumsum(axis=1))
        return batch

    def counts(
        self,
        samples: Samples,
        indices: NDArray[np.int64],
        noise: Noise,  # noqa: ARG002
    ) -> Mapping[str, int]:
        """Return the number of hidden tokens, at least one."""
        hidden = sum(self._number(samples.read(int(sample))[0] != self._eos) for sample in indices)
        return {"masked_token": max(1, hidden)}

    def loss(self, network: Network, batch: Batch) -> Mapping[str, Tensor]:
        """Return the nats of all hidden tokens."""
        logits, labels = self._predicted(network, batch)
        return {"masked_token": nll_sum(logits, labels)}

    def token_nats(self, network: Network, batch: Batch) -> Tensor:
        """Return the nats of each label ``[B T]``, 0 for an ignored one."""
        return nll_each(network(batch["input_ids"], batch.get("document_ids")), batch["labels"])

    def _predicted(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits ``[n, V]`` and labels ``[n]`` of the hidden tokens alone."""
        assert isinstance(network, MaskedNetwork), "the configuration checks what the network can do"
        hidden = network.hidden_states(batch["input_ids"], documents=batch.get("document_ids"))
        places = (batch["labels"] != IGNORED_LABEL).nonzero(as_tuple=True)
        return network.logits(hidden[places]), batch["labels"][places]

    def _number(self, is_text: NDArray[np.bool_]) -> int:
        count = int(is_text.sum())
        return min(count, max(1, round(self._rate * count)))

    def _hidden(
        self, ids: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return inputs, labels and the ids themselves, [T] each."""
        is_text = ids != self._eos
        places = generator.permutation(np.flatnonzero(is_text))[: self._number(is_text)]
        inputs, labels = ids.copy(), np.full_like(ids, IGNORED_LABEL)
        labels[places] = ids[places]
        kinds, others = generator.random(len(places)), generator.integers(0, self._mask, len(places))
        kept = np.where(kinds < self._replaced, others, ids[places])
        inputs[places] = np.where(kinds < self._masked, self._mask, kept)
        return inputs, labels, ids
