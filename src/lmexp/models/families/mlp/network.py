"""A neural model of a fixed window: what follows the last n - 1 tokens, and nothing before them.

    x = (C[w_1], ..., C[w_(n-1)]);  y = softmax(b + U tanh(d + H x) + W x)

C is the embedding, x the window's embeddings one after the other, the oldest first, and n the order (Bengio
et al. 2003). W x, the direct connections, are optional. U and W are one matrix here, over tanh and x side by
side. Where a document has not yet n - 1 tokens, zeros stand for those that are missing, as if their
embedding were zero.

A document of any length is read, since a window forgets. The state is its last n - 2 tokens: with the next
one they are the window.

The embedding starts as N(0, init_std^2), the matrices as N(0, 1 / inputs), the biases as zero. All are drawn
from a generator of the model's own.

Shapes: B batch, T time, n order, D d_model, F d_ff, V vocabulary, G = F, and with direct connections
F + (n - 1) D.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmexp.models.families.mlp.config import MLPConfig
from lmexp.models.layers.linear import Linear
from lmexp.models.network import CausalNetwork

NOTHING = -1
"""Stands in a window where there is no token."""


@dataclass
class WindowState:
    """The last tokens of each row, ``[B, n - 2]``, the newest last; -1 where it has read fewer."""

    tokens: Tensor

    def take(self, rows: Sequence[int]) -> Self:
        """Return the state of the rows with these numbers."""
        return type(self)(self.tokens[torch.tensor(rows, dtype=torch.int64, device=self.tokens.device)])

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Return one state with the rows of all `states`, in order."""
        return cls(torch.cat([state.tokens for state in states]))

    def tensors(self) -> Mapping[str, Tensor]:
        """Return `tokens`, ``[B, n - 2]``."""
        return {"tokens": self.tokens}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the state that has these tensors."""
        return cls(tensors["tokens"])


class MLP(CausalNetwork):
    """The network: token ids in, logits out."""

    config: MLPConfig
    embeddings: ClassVar[frozenset[str]] = frozenset({"embedding.weight"})
    head = "lm_head.weight"

    def __init__(self, config: MLPConfig, vocab_size: int, *, seed: int = 0) -> None:
        """Build the model with weights drawn from `seed` (in fp32, whatever the later precision)."""
        super().__init__(config, vocab_size)
        width, window = config.d_model, (config.order - 1) * config.d_model
        self.embedding = nn.Embedding(vocab_size, width, _weight=torch.empty(vocab_size, width))
        self.inner = Linear(window, config.d_ff, bias=True)
        self.lm_head = Linear(config.d_ff + (window if config.direct else 0), vocab_size, bias=True)
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """None: two matrices leave a compiler nothing to do."""
        return ()

    def new_state(self, num_rows: int) -> WindowState:
        """Return windows without a token."""
        shape = (num_rows, self.config.order - 2)
        return WindowState(torch.full(shape, NOTHING, device=self.device))

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: WindowState | None = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Return what the head reads, ``[B, T, G]``; see `CausalNetwork.hidden_states`."""
        assert state is None or documents is None, "a state continues one document in each row"
        before = self.new_state(len(input_ids)) if state is None else state
        ids = torch.cat((before.tokens, input_ids), dim=1)  # [B, n - 2 + T]
        if state is not None:
            state.tokens = self._last(ids, lengths)
        embedded = self.embedding(ids.clamp(min=0)) * (ids >= 0)[..., None]
        windows = embedded.unfold(1, self.config.order - 1, 1).transpose(2, 3)  # [B, T, n - 1, D]
        if documents is not None:
            windows = windows * self._same(documents)[..., None]
        x = windows.flatten(2)
        inner = self.inner(x).tanh()
        return torch.cat((inner, x), dim=2) if self.config.direct else inner

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., G]``, for the positions one needs."""
        return functional.linear(hidden, self.lm_head.weight, self.lm_head.bias)

    def _last(self, ids: Tensor, lengths: Sequence[int] | None) -> Tensor:
        """Return the last n - 2 tokens ``[B, n - 2]`` of ``ids [B, n - 2 + T]`` that are no padding."""
        kept = self.config.order - 2
        if lengths is None:
            return ids[:, ids.shape[1] - kept :]
        places = torch.tensor(lengths)[:, None] + torch.arange(kept)
        return ids.gather(1, places.to(ids.device))

    def _same(self, documents: Tensor) -> Tensor:
        """Return whether each token of a window is of the document of its last, bool ``[B, T, n - 1]``."""
        before = documents.new_full((len(documents), self.config.order - 2), NOTHING)
        windows = torch.cat((before, documents), dim=1).unfold(1, self.config.order - 1, 1)
        return windows == documents[..., None]

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for parameter in self.parameters():
            if parameter is self.embedding.weight:
                parameter.normal_(std=self.config.init_std, generator=generator)
            elif parameter.ndim == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5, generator=generator)
            else:
                parameter.zero_()


NETWORK = MLP
