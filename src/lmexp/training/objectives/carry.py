"""The state that each row of a batch hands on from one step to the next.

A lane is a row of the global batch that reads its own part of the stream from step to step (`LaneOrder`). Its
state goes on from one sample to the next and its gradient does not: back-propagation through time, truncated
to one sample (Williams and Peng 1990). Each epoch begins with fresh states.

In a checkpoint stand the states of all lanes, in their order, gathered over ranks; each rank and micro-batch
takes its own from them, whatever the number of ranks.

Shapes: B lanes of the global batch.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lmexp.models.interface import CarriedState
from lmexp.models.network import CausalNetwork
from lmexp.training.config import PretrainConfig


class Carry:
    """The states of one rank's lanes, those of each micro-batch together."""

    def __init__(self, config: PretrainConfig, network: CausalNetwork, steps_per_epoch: int) -> None:
        self._network = network
        self._steps_per_epoch = steps_per_epoch
        self._size = config.resolved_micro_batch_size
        self._states: list[CarriedState | None] = [None] * config.accumulation

    def before(self, step: int, micro: int) -> CarriedState:
        """Return the state from which the lanes of micro-batch `micro` read on in step `step`."""
        state = self._states[micro]
        if state is None or step % self._steps_per_epoch == 0:
            return self._network.new_state(self._size)  # type: ignore[no-any-return]
        return state

    def keep(self, micro: int, state: CarriedState) -> None:
        """Keep what the lanes of a micro-batch came to, without its gradient."""
        tensors = {name: part.detach() for name, part in state.tensors().items()}
        self._states[micro] = type(state).of(tensors)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the states of this rank's lanes, a row for each; nothing before the first step."""
        parts = [state.tensors() for state in self._states if state is not None]
        return {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else {})}

    def gathered(self, all_gather: Callable[[Tensor], Tensor], world_size: int) -> dict[str, Tensor]:
        """Return the states of all lanes, ``[B, ...]`` each; every rank calls it at once."""
        own = self.tensors()
        if world_size == 1:
            return dict(own)
        return {name: all_gather(part.contiguous()).flatten(0, 1) for name, part in own.items()}

    def restore(self, lanes: Mapping[str, Tensor], rank: int) -> None:
        """Take this rank's states out of those of all lanes."""
        like = self._network.new_state(1)
        first = rank * len(self._states) * self._size
        for micro in range(len(self._states)):
            own = slice(first + micro * self._size, first + (micro + 1) * self._size)
            rows = {name: part[own].to(self._network.device) for name, part in lanes.items()}
            self._states[micro] = type(like).of(rows)
