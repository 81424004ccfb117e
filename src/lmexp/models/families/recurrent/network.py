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

What a training pass drops is drawn outside, see `draw_masks`: words, and activations of a sample, at the same
places at all times (variational) or anew at each, and weights from state to state. What is kept grows by
1 / (1 - rate), so that nothing changes when nothing is dropped. Dropping runs one layer after the other.

Shapes: B batch, T time, D d_model, L layers, V vocabulary, S documents of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lmexp.models.families.recurrent.config import LSTMConfig, RecurrentConfig
from lmexp.models.layers.linear import Linear
from lmexp.models.network import CausalNetwork, Masks

_FUNCTIONS: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}
Parts = tuple[Tensor, ...]
_Run = Callable[[Any, Parts], tuple[Any, Parts]]
"""Cells: from a tensor or a packed sequence, and what stands before it, to outputs and what stands after."""

_CELLS: dict[str, type[nn.RNN | nn.GRU | nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass
class RecurrentState:
    """What each row has come to: ``(h,)`` or of an LSTM ``(h, c)``, each ``[L, B, D]``."""

    parts: Parts

    def take(self, rows: Sequence[int]) -> Self:
        """Return the state of the rows with these numbers."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.parts[0].device)
        return type(self)(tuple(part[:, index] for part in self.parts))

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Return one state with the rows of all `states`, in order."""
        parts = zip(*(state.parts for state in states), strict=True)
        return cls(tuple(torch.cat(part, dim=1) for part in parts))

    def tensors(self) -> Mapping[str, Tensor]:
        """Return `h` and of an LSTM `c`, ``[B, L, D]`` each."""
        return {name: part.transpose(0, 1) for name, part in zip("hc", self.parts, strict=False)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the state that has these tensors."""
        return cls(tuple(tensors[name].transpose(0, 1).contiguous() for name in "hc" if name in tensors))


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
        assert state is None or documents is None, "a state continues one document in each row"
        x, own = self.embedding(input_ids), state if state is not None else self.new_state(len(input_ids))
        if not self.masks:
            hidden, own.parts = self._run(self._all_layers, x, own.parts, lengths, documents)
            return hidden
        assert lengths is None, "what is trained has no padding on its right"
        masks = self.masks
        after: list[Parts] = []
        x = x * masks["words"][input_ids][..., None] * masks["embeddings"]
        for k in range(self.config.num_layers):
            before = tuple(part[k : k + 1] for part in own.parts)
            x, parts = self._run(self._layer(k, masks["weights"][k]), x, before, None, documents)
            x = x * masks["layers"][:, k]
            after.append(parts)
        own.parts = tuple(torch.cat(parts) for parts in zip(*after, strict=True))
        return x  # type: ignore[no-any-return]

    @property
    def drops(self) -> bool:
        """Whether a rate is above zero."""
        config = self.config
        activations = config.embedding_dropout, config.layer_dropout, config.output_dropout
        return any((*activations, config.word_dropout, config.weight_dropout))

    def draw_masks(
        self, samples: Sequence[np.random.Generator], step: np.random.Generator, num_tokens: int
    ) -> Masks:
        """Return what is dropped: `words [V]`, `embeddings [B, T or 1, D]`, `layers`
        ``[B, L, T or 1, D]`` of each layer's outputs, and `weights [L, gates D, D]` from state to state."""
        config = self.config
        between = [config.layer_dropout] * (config.num_layers - 1)
        rates = np.array([config.embedding_dropout, *between, config.output_dropout])[:, None, None]
        shape = (len(rates), 1 if config.variational else num_tokens, config.d_model)
        drawn = torch.from_numpy(np.stack([_mask(sample, shape, rates) for sample in samples]))
        gates = self.cells.get_parameter("weight_hh_l0").shape
        return {
            "words": torch.from_numpy(_mask(step, (self.vocab_size,), config.word_dropout)),
            "embeddings": drawn[:, 0],
            "layers": drawn[:, 1:],
            "weights": torch.from_numpy(_mask(step, (config.num_layers, *gates), config.weight_dropout)),
        }

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""
        head = self.embedding if self.lm_head is None else self.lm_head
        return functional.linear(hidden, head.weight)

    def _run(
        self,
        cells: _Run,
        x: Tensor,
        before: Parts,
        lengths: Sequence[int] | None,
        documents: Tensor | None,
    ) -> tuple[Tensor, Parts]:
        """Return the outputs of `cells` over ``x [B, T, D]``, ``[B, T, D]``, and what the rows came to."""
        if documents is not None:
            return self._documents(cells, x, documents, before), before
        parts = tuple(part.to(x.dtype) for part in before)
        if lengths is None:
            return cells(x, parts)
        packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        packed_hidden, after = cells(packed, parts)
        return pad_packed_sequence(packed_hidden, batch_first=True, total_length=x.shape[1])[0], after

    def _documents(self, cells: _Run, x: Tensor, documents: Tensor, like: Parts) -> Tensor:
        """Return the states ``[B, T, D]`` where each document of ``x [B, T, D]`` is a row of its own, from
        zeros with as many layers as `like`."""
        batch, time, width = x.shape
        begins = torch.ones_like(documents, dtype=torch.bool)
        begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
        first = begins.flatten().nonzero()[:, 0]  # [S], where each begins in the batch laid end to end
        lengths = torch.diff(first, append=first.new_tensor([batch * time]))
        own = torch.arange(int(lengths.max()), device=x.device)
        places = first[:, None] + torch.minimum(own, lengths[:, None] - 1)  # [S, longest]
        rows = x.reshape(batch * time, width)[places]
        packed = pack_padded_sequence(rows, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed_hidden, _ = cells(packed, tuple(x.new_zeros(len(part), len(first), width) for part in like))
        hidden, _ = pad_packed_sequence(packed_hidden, batch_first=True)
        return hidden[own < lengths[:, None]].view(batch, time, width)

    def _all_layers(self, x: Any, parts: Parts) -> tuple[Any, Parts]:
        """Run all layers in one call of torch's."""
        hidden, after = self.cells(x, parts if self._is_lstm else parts[0])
        return hidden, after if self._is_lstm else (after,)

    def _layer(self, k: int, mask: Tensor) -> _Run:
        """Return what runs layer `k` alone, its weights from state to state multiplied by `mask`."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.cells, f"{name}_l{k}") for name in names]
        weights[1] = weights[1] * mask.to(weights[1].dtype)
        settings = (True, 1, 0.0, self.training, False)  # biases, layers, torch's own dropout, -, directions

        def run(x: Any, parts: Parts) -> tuple[Any, Parts]:
            given = list(parts) if self._is_lstm else parts[0]
            function = _FUNCTIONS[self.config.cell]
            if isinstance(x, PackedSequence):  # from zeros, which need not be sorted as its rows are
                hidden, *after = function(x.data, x.batch_sizes, given, weights, *settings)
                return x._replace(data=hidden), tuple(after)
            hidden, *after = function(x, given, weights, *settings, True)
            return hidden, tuple(after)

        return run

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


def _mask(
    generator: np.random.Generator, shape: tuple[int, ...], rate: float | NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return factors: 0 with probability `rate`, which spreads over `shape`, else 1 / (1 - rate)."""
    kept = generator.random(shape, dtype=np.float32) >= rate
    return np.multiply(kept, np.asarray(1 / (1 - rate), dtype=np.float32), dtype=np.float32)


NETWORK = Recurrent
