"""A masked diffusion model: the encoder, which is told nothing but what is hidden.

The noise of absorbing-state diffusion turns each token into the mask, earlier or later, and a mask stays one.
What turns it back needs the probability of the hidden tokens given those that are seen. That does not depend
on the time (Shi et al., arXiv 2406.04329; Ou et al., 2406.03736), so the network reads no time, and the mask
itself has no probability (Sahoo et al., 2406.07524). Such a network is one of any order: it bounds the
probability of a text by the mean over the orders in which its tokens are told (`lmexp.scoring.bound`).

Shapes: D d_model, V vocabulary, of which the last id is the mask.
"""

from torch import Tensor
from torch.nn import functional

from lmexp.models.families.encoder.network import Encoder


class Diffusion(Encoder):
    """The network: token ids in, some of them the mask, logits of the hidden ones out."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``; that of the mask is -inf."""
        return functional.pad(super().logits(hidden)[..., :-1], (0, 1), value=float("-inf"))


NETWORK = Diffusion
