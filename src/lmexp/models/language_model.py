"""What every language model here is to those who train, evaluate and generate with it.

A model maps token ids to hidden states, and those of them that one needs to logits. It is causal: a
time sees times up to its own, unless a mask says otherwise.

Shapes: B batch, T time, S >= T times of the cache and the input together, D d_model, V vocabulary.
"""

import abc
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from lmexp.errors import DataError
from lmexp.models.cache import KVCache
from lmexp.models.config import NetworkConfig


class LanguageModel(nn.Module, abc.ABC):
    """Token ids in, logits out. Built by `lmexp.models.build.build_model`, loaded by `load_model`."""

    embeddings: ClassVar[frozenset[str]]
    """Names of the parameters that are looked up by id, a head tied to one of them included."""

    def __init__(self, config: NetworkConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        """The shape."""
        self.vocab_size = vocab_size
        """Number of ids, V."""

    @property
    def num_parameters(self) -> int:
        """Number of weights; a tied head counts once."""
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(
        self, input_ids: Tensor, *, positions: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return logits ``[B, T, V]`` for ``input_ids [B, T]``; see `hidden_states`."""
        return self.logits(self.hidden_states(input_ids, positions=positions, mask=mask))

    @property
    @abc.abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The layers of one kind that follow each other; training compiles them one by one."""

    @abc.abstractmethod
    def new_state(self) -> KVCache:
        """Return the state before any token, which `hidden_states` reads and moves on."""

    @abc.abstractmethod
    def hidden_states(
        self,
        input_ids: Tensor,
        cache: KVCache | None = None,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the last norm's output ``[B, T, D]``, from which `logits` makes logits.

        With a `cache`, `input_ids` (int64, ``[B, T]``) continue what it holds, and are added to it.
        ``positions [B, T]`` (int64) are where each token stands, by default one after the other; only
        they, and not T, are then bounded by the context length. ``mask [B, T, S]`` is True where a
        token may attend, at least once in each row, by default to itself and all before it.

        Errors: `DataError` if a position reaches the context length.
        """

    @abc.abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits ``[..., V]`` of hidden states ``[..., D]``, for the positions one needs."""

    def _check_positions(self, end: int, positions: Tensor | None) -> None:
        """Raise `DataError` for a position outside of the context, `end` being one past the last.

        A device other than the CPU is waited for only where there are more times than positions.
        """
        limit = self.config.context_length
        if positions is not None:
            look = positions.device.type == "cpu" or end > limit
            end = int(positions.max()) + 1 if look and positions.numel() else 0
        if end > limit:
            raise DataError(
                f"the model reads at most {limit} tokens and was given {end}; "
                f"shorten the input or train with a larger model.context_length."
            )
