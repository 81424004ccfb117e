"""A masked diffusion model: the Transformer of `qwen3`, whose tokens see both sides.

The noise of absorbing-state diffusion turns each token into the mask, earlier or later, and a mask stays one.
What turns it back needs the probability of the hidden tokens given those that are seen. That does not depend
on the time (Shi et al., arXiv 2406.04329; Ou et al., 2406.03736), so the network reads no time, and the mask
itself has no probability (Sahoo et al., 2406.07524). Such a network is one of any order: it bounds the
probability of a text by the mean over the orders in which its tokens are told (`lmexp.scoring.bound`).

Hidden tokens are all alike, and are told apart by where they stand. Rotary positions, which tell how far one
token is from another, learn that sooner than a vector for each place: docs/log.md has figures.

Shapes: B batch, T time, D d_model, V vocabulary, of which the last id is the mask.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lmexp.errors import DataError
from lmexp.models.families.diffusion.config import DiffusionConfig
from lmexp.models.families.qwen3.network import Transformer
from lmexp.models.layers.visibility import Visibility, document_positions
from lmexp.models.network import MaskedNetwork


class Diffusion(Transformer, MaskedNetwork):
    """The network: token ids in, some of them the mask, logits of the hidden ones out."""

    config: DiffusionConfig

    def hidden_states(self, input_ids: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Return the last layer's output ``[B, T, D]``; see `Network.hidden_states`."""
        num_times, limit = input_ids.shape[1], self.config.context_length
        if num_times > limit:
            raise DataError(
                f"the model reads at most {limit} tokens and was given {num_times}; "
                f"shorten the input or train with a larger model.context_length."
            )
        if documents is None:
            mask = torch.ones(1, num_times, num_times, dtype=torch.bool, device=input_ids.device)
            seen = Visibility(slice(0, num_times), mask)
        else:
            same = documents[:, :, None] == documents[:, None, :]
            seen = Visibility(document_positions(documents), same)
        return self._read(input_ids, seen, [None] * len(self.blocks))

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``; that of the mask is -inf."""
        return functional.pad(super().logits(hidden)[..., :-1], (0, 1), value=float("-inf"))


NETWORK = Diffusion
