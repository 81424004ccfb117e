"""What a network is to the training loop, and a causal one to those who score and generate with it.

A network's parameters have roles, from which optimizers learn what they are: embeddings, matrices inside,
the head, vectors. Its blocks are what is compiled or checkpointed one by one.

A causal network maps ids to hidden states, and those that one needs to logits; a time sees times up to its
own alone. What it has read lies in a state that is its family's own.

Shapes: B batch, T time, S >= T times of the state and the input together, D d_model, V vocabulary.
"""

import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmexp.models.cache import KVCache, LayerCache
from lmexp.models.config import ContextConfig, ModelConfig
from lmexp.models.families import NETWORKS
from lmexp.models.interface import Capability, State
from lmexp.models.layers.visibility import Visibility, visibility

Masks = Mapping[str, Tensor]
"""Factors of activations or weights by name: 0, or what keeps the mean. A network draws none by itself, so
that a pass is a pure function of its inputs."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a parameter is, whatever it is called."""

    kind: Literal["embedding", "hidden", "head", "vector"]
    """An embedding is looked up by id, a head tied to it included; a hidden matrix multiplies activations;
    the head makes logits; a vector is anything of fewer than two dimensions."""

    fan_in: int
    """Inputs that are summed for one output; 1 for embeddings and vectors."""


class Network(nn.Module, abc.ABC):
    """A model made of torch. Built by `lmexp.models.build.build_model`."""

    embeddings: ClassVar[frozenset[str]]
    """Names of the parameters that are looked up by id, a head tied to one of them included."""
    head: ClassVar[str | None] = None
    """Name of the parameter that makes logits, where it is none of the embeddings."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        """The shape."""
        self.vocab_size = vocab_size
        """Number of ids, V."""
        self.masks: Masks = {}
        """What the running pass drops, by name."""

    @property
    def family(self) -> str:
        """Name of its family."""
        return NETWORKS.kind_of(self.config)

    @property
    def can(self) -> frozenset[Capability]:
        """What it can do."""
        return self.config.can

    @property
    def is_normalized(self) -> bool:
        """Whether the probabilities that it gives sum to one."""
        return self.config.is_normalized

    @property
    def is_bound(self) -> bool:
        """Whether the nats that it gives a text are an upper bound."""
        return self.config.is_bound

    @property
    def context_length(self) -> int | None:
        """Most tokens that it sees; None where there is no limit."""
        return self.config.longest

    @property
    def num_parameters(self) -> int:
        """Number of weights; a tied head counts once."""
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    @abc.abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The modules that most of the work is done in, in order."""

    @abc.abstractmethod
    def hidden_states(self, input_ids: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Return the last layer's output ``[B, T, D]`` of ``input_ids [B, T]`` (int64).

        ``documents [B, T]`` number the documents of each row, one after the other; each is read as if it
        stood alone. Errors: `DataError` for more tokens than the context length.
        """

    @abc.abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""

    def forward(self, input_ids: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return logits ``[B, T, V]`` for ``input_ids [B, T]``; see `hidden_states`."""
        return self.logits(self.hidden_states(input_ids, documents=documents))

    @property
    def drops(self) -> bool:
        """Whether a training pass drops anything; if so, `draw_masks` says what."""
        return False

    def draw_masks(
        self,
        samples: Sequence[np.random.Generator],  # noqa: ARG002
        step: np.random.Generator,  # noqa: ARG002
        num_tokens: int,  # noqa: ARG002
    ) -> Masks:
        """Return what a training pass drops: of each of B samples by its own generator, and by `step` what is
        the same for all. `num_tokens` is T."""
        raise AssertionError("a network that drops nothing is not asked what")

    @contextmanager
    def dropping(self, masks: Masks) -> Iterator[None]:
        """Within it a pass of this network drops what `draw_masks` drew. Outside nothing is ever dropped."""
        self.masks = masks
        try:
            yield
        finally:
            self.masks = {}

    def roles(self) -> Mapping[str, Role]:
        """Return the role of each parameter, by name."""
        return {name: self._role(name, parameter) for name, parameter in self.named_parameters()}

    def _role(self, name: str, parameter: Tensor) -> Role:
        if name in self.embeddings:
            return Role("embedding", 1)
        if parameter.ndim < 2:
            return Role("vector", 1)
        return Role("head" if name == self.head else "hidden", parameter[0].numel())


class CausalNetwork(Network):
    """A network of which each time sees what stands before it."""

    @abc.abstractmethod
    def new_state(self, num_rows: int) -> Any:
        """Return the state before any token, which `hidden_states` reads and moves on."""

    @abc.abstractmethod
    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: Any = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's output ``[B, T, D]``; see `Network.hidden_states`.

        With a `state`, ``input_ids [B, T]`` continue what it has read, and it is moved on; where `lengths`
        are given, only so many ids of each row are real, and what follows them is padding whose output means
        nothing. Documents are not given with a state.
        """

    def begin(self, num_rows: int) -> State:
        """Return the state before any token."""
        return self.new_state(num_rows)  # type: ignore[no-any-return]

    # Not inference_mode: the model keeps tables of its first pass, and could not train with them after it.
    @torch.no_grad()
    def step(self, ids: NDArray[np.int64], lengths: Sequence[int], state: Any) -> Tensor:
        """Return the logits ``[B, V]`` of the token after each row; see `interface.StreamingModel`."""
        ragged = None if min(lengths) == ids.shape[1] else lengths
        hidden = self.hidden_states(torch.from_numpy(ids).to(self.device), state=state, lengths=ragged)
        last = torch.tensor(lengths, device=hidden.device) - 1
        return self.logits(hidden[torch.arange(len(lengths), device=hidden.device), last])


class BranchingNetwork(CausalNetwork):
    """A causal network of attention, which is also told where each token stands and what it may see."""

    config: ContextConfig

    @property
    def context_length(self) -> int:
        """Most tokens that it sees."""
        return self.config.context_length

    def new_state(self, num_rows: int) -> KVCache:
        """Return an empty cache of keys and values."""
        return KVCache(len(self.blocks), num_rows)

    def hidden_states(
        self,
        input_ids: Tensor,
        *,
        state: KVCache | None = None,
        lengths: Sequence[int] | None = None,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's output ``[B, T, D]``; see `CausalNetwork.hidden_states`.

        ``positions [B, T]`` (int64) are where each token stands, by default one after the other; only they,
        and not T, are then bounded by the context length. ``mask [B, T, S]`` is True where a token may
        attend, at least once in each row, by default to itself and all before it.
        """
        seen = visibility(
            self.context_length,
            input_ids,
            state=state,
            lengths=lengths,
            documents=documents,
            positions=positions,
            mask=mask,
        )
        return self._read(input_ids, seen, [None] * len(self.blocks) if state is None else state.layers)

    @abc.abstractmethod
    def _read(self, input_ids: Tensor, seen: Visibility, caches: Sequence[LayerCache | None]) -> Tensor:
        """Return the last layer's output ``[B, T, D]``; each block has its cache, if there is a state."""


class MaskedNetwork(Network):
    """A network that predicts hidden tokens from both of their sides. The last id of its vocabulary hides."""

    @property
    def mask_token_id(self) -> int:
        """The id that stands in for a hidden token."""
        return self.vocab_size - 1
