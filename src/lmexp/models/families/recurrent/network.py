"""A recurrent language model: an embedding, layers of simple, GRU or LSTM cells, a head.

The cells are torch's. Its simple one:

    h' = tanh(W x + b + U h + c)

Its GRU resets the previous state after the matrix, as cuDNN does:

    r, z = sigmoid(W x + b + U h + c);  n = tanh(W x + b + r (U h + c));  h' = (1 - z) n + z h

Its LSTM:

    i, f, o = sigmoid(W x + b + U h + c);  g = tanh(...);  c' = f c + i g;  h' = o tanh(c')

The state before a document is zero. There is no limit to what is read: the state is carried on, and a text
read piece by piece gives what it gives as a whole.

The embedding starts as N(0, init_std^2), an untied head as N(0, 1 / D), the cells' matrices and biases as
uniform within 1 / sqrt(D), as torch starts them, and the LSTM's forget gates with a bias of one more, so
that it remembers at first (Jozefowicz et al. 2015). All are drawn from a generator of the model's own.

Shapes: B batch, T time, D d_model, L layers, V vocabulary, S documents of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lmexp.models.families.recurrent.config import LSTMConfig, RecurrentConfig
from lmexp.models.layers.linear import Linear
from lmexp.models.network import CausalNetwork

_CELLS: dict[str, type[nn.RNN | nn.GRU | nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass
class RecurrentState:
    """What each row has come to: ``(h,)`` or of an LSTM ``(h, c)``, each ``[L, B, D]``."""

    parts: tuple[Tensor, ...]

    def take(self, rows: Sequence[int]) -> Self:
        """Return the state of the rows with these numbers."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.parts[0].device)
        return type(self)(tuple(part[:, index] for part in self.parts))

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Return one state with the rows of all `states`, in order."""
        parts = zip(*(state.parts for state in states), strict=True)
        return cls(tuple(torch.cat(part, dim=1) for part in parts))


class Recurrent(CausalNetwork):
    """The network: token ids in, logits out."""

    config: RecurrentConfig
    embeddings: ClassVar[frozenset[str]] = frozenset({"embedding.weight"})
    head = "lm_head.weight"

    def __init__(self, config: RecurrentConfig, vocab_size: int, *, seed: int = 0) -> None:
        """Build the model with weights drawn from `seed` (in fp32, whatever the later precision)."""
        super().__init__(config, vocab_size)
        width = config.d_model
        self.embedding = nn.Embedding(vocab_size, width, _weight=torch.empty(vocab_size, width))
        with torch.random.fork_rng(devices=[]):  # torch's cells draw their weights as they are made
            self.cells = _CELLS[config.cell](width, width, num_layers=config.num_layers, batch_first=True)
        self.lm_head = None if config.tie_embeddings else Linear(width, vocab_size)
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """None: the cells of all layers and times are one call of torch's."""
        return ()

    def new_state(self, num_rows: int) -> RecurrentState:
        """Return zeros."""
        like = self.embedding.weight
        shape = (self.config.num_layers, num_rows, self.config.d_model)
        return RecurrentState(tuple(like.new_zeros(shape) for _ in range(1 + self._is_lstm)))

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: RecurrentState | None = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's output ``[B, T, D]``; see `CausalNetwork.hidden_states`."""
        x = self.embedding(input_ids)
        if documents is not None:
            assert state is None, "a state continues one document in each row"
            return self._documents(x, documents)
        before = self.new_state(len(x)) if state is None else state
        if lengths is None:
            hidden, after = self.cells(x, self._given(before, x))
        else:
            packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
            packed_hidden, after = self.cells(packed, self._given(before, x))
            hidden, _ = pad_packed_sequence(packed_hidden, batch_first=True, total_length=x.shape[1])
        if state is not None:
            state.parts = after if self._is_lstm else (after,)
        return hidden  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""
        head = self.embedding if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight)

    def _documents(self, x: Tensor, documents: Tensor) -> Tensor:
        """Return the states ``[B, T, D]`` where each document of ``x [B, T, D]`` is a row of its own."""
        batch, time, width = x.shape
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
        first = begins.flatten().nonzero()[:, 0]  # [S], where each begins in the batch laid end to end
        lengths = torch.diff(first, append=first.new_tensor([batch * time]))
        own = torch.arange(int(lengths.max()), device=x.device)
        places = first[:, None] + torch.minimum(own, lengths[:, None] - 1)  # [S, longest]
        rows = x.reshape(batch * time, width)[places]
        packed = pack_padded_sequence(rows, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed_hidden, _ = self.cells(packed, self._given(self.new_state(len(first)), x))
        hidden, _ = pad_packed_sequence(packed_hidden, batch_first=True)
        return hidden[own < lengths[:, None]].view(batch, time, width)

    def _given(self, state: RecurrentState, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return a state as torch's cells take it."""
        parts = tuple(part.to(x.dtype) for part in state.parts)
        return parts if self._is_lstm else parts[0]

    @property
    def _is_lstm(self) -> bool:
        return isinstance(self.config, LSTMConfig)

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        width = self.config.d_model
        for name, parameter in self.named_parameters():
            if parameter is self.embedding.weight:
                parameter.normal_(std=self.config.init_std, generator=generator)
            elif name == self.head:
                parameter.normal_(std=width**-0.5, generator=generator)
            else:
                parameter.uniform_(-(width**-0.5), width**-0.5, generator=generator)
            if self._is_lstm and "bias_ih" in name:
                parameter[width : 2 * width] += 1.0  # the gates stand as input, forget, cell, output


NETWORK = Recurrent
