"""Masked diffusion: hidden tokens from all others, at every rate alike, weighted to a bound.

Of the n tokens of a sample that are no ends of text, k are hidden, with k drawn from 1 to n, each as likely,
and then the places. The loss of the sample is

    n / k  sum over hidden i of  -ln p(x_i | what is seen)

Its mean over k and places is the evidence bound of absorbing-state diffusion (Austin et al., arXiv
2107.03006; Sahoo et al., 2406.07524; Shi et al., 2406.04329) with the rate t integrated out: places that are
hidden with probability t each weigh 1 / t there, and the integral over t of t^(k-1) (1-t)^(n-k) is
1 / (k C(n, k)), the chance of these places here times n / k. It is also the mean over all orders of the
text's nats, told token by token in that order (Uria et al., 1310.1757; Hoogeboom et al., 2110.02037), so at
least the nats of the text.

Divided by the tokens of the batch it is the bound in nats per token. Its noise is large, since one of a
sample's k tokens stands for n / k of them.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmexp.models.network import MaskedNetwork, Network
from lmexp.packing.samples import IGNORED_LABEL, Samples
from lmexp.training.objectives.cross_entropy import nll_each
from lmexp.training.objectives.noise import Noise
from lmexp.training.objectives.objective import Batch


class MaskedDiffusion:
    """The bound of the nats of all tokens, by one draw for each sample."""

    def __init__(self, *, mask_token_id: int, eos_token_id: int, documents: bool) -> None:
        """`eos_token_id` stands between documents and is never hidden. With `documents` each of these stands
        alone."""
        self._mask = mask_token_id
        self._eos = eos_token_id
        self._documents = documents

    def batch(self, samples: Samples, indices: NDArray[np.int64], noise: Noise) -> Batch:
        """Return `input_ids` and `labels` (-100 where nothing is hidden), ``[B, T]``, what a hidden token
        weighs, `weights` ``[B]``, and where documents stand alone `document_ids`, ``[B, T]``."""
        rows = [self._hidden(samples.read(int(sample))[0], noise.of(int(sample))) for sample in indices]
        inputs, labels, weights = (np.stack(part) for part in zip(*rows, strict=True))
        batch = {name: torch.from_numpy(part) for name, part in (("input_ids", inputs), ("labels", labels))}
        batch["weights"] = torch.from_numpy(weights)
        if self._documents:
            batch["document_ids"] = (batch["input_ids"] == self._eos).cumsum(dim=1)
        return batch

    def counts(
        self,
        samples: Samples,
        indices: NDArray[np.int64],
        noise: Noise,  # noqa: ARG002
    ) -> Mapping[str, int]:
        """Return the number of tokens that are no ends of text, hidden or not, at least one."""
        text = sum(int((samples.read(int(sample))[0] != self._eos).sum()) for sample in indices)
        return {"masked_diffusion": max(1, text)}

    def loss(self, network: Network, batch: Batch) -> Mapping[str, Tensor]:
        """Return the weighted nats of the hidden tokens."""
        assert isinstance(network, MaskedNetwork), "the configuration checks what the network can do"
        hidden = network.hidden_states(batch["input_ids"], documents=batch.get("document_ids"))
        row, place = (batch["labels"] != IGNORED_LABEL).nonzero(as_tuple=True)
        nats = nll_each(network.logits(hidden[row, place]), batch["labels"][row, place])
        return {"masked_diffusion": (nats * batch["weights"][row].to(nats.dtype)).sum()}

    def token_nats(self, network: Network, batch: Batch) -> Tensor:
        """Return the weighted nats of each label ``[B T]``, 0 for an ignored one."""
        nats = nll_each(network(batch["input_ids"], batch.get("document_ids")), batch["labels"])
        weights: Tensor = batch["weights"].to(nats.dtype)
        return nats * weights.repeat_interleave(batch["labels"].shape[1])

    def _hidden(
        self, ids: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return inputs [T], labels [T] and the weight of a label, []."""
        text = np.flatnonzero(ids != self._eos)
        inputs, labels = ids.copy(), np.full_like(ids, IGNORED_LABEL)
        if not len(text):
            return inputs, labels, np.zeros(())
        number = int(generator.integers(1, len(text), endpoint=True))
        places = generator.permutation(text)[:number]
        labels[places], inputs[places] = ids[places], self._mask
        return inputs, labels, np.asarray(len(text) / number)
