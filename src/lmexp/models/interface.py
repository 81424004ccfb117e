"""What a language model is to those who evaluate, generate and serve, whatever it is made of.

Whatever gives texts a probability is one: counts, a network, the true process. What it can do beyond
that is said by its capabilities, and whoever needs one asks for it:

    next_token     gives the next token a probability
    masked_token   gives a hidden token one, from both of its sides
    any_order      gives hidden tokens one however many are hidden, and so bounds that of a text
    streams        reads a text piece by piece, with a state that it moves on
    documents      reads several documents in one sequence, each as if it stood alone
    carries        keeps a state of one size, which training hands on from one sample to the next
    branches       reads several continuations of one beginning at once

Shapes: B rows, T time, V vocabulary.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast

from lmexp.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Capability = Literal["next_token", "masked_token", "any_order", "documents", "branches", "streams", "carries"]

Pair = tuple[Sequence[int], Sequence[int]]
"""A context and its continuation, both token ids. An empty context is the beginning of a document."""

_OTHERWISE = {
    "next_token": "it gives no next token a probability",
    "streams": "it reads a text as a whole, and cannot write one token after another",
    "masked_token": "it reads from left to right, and cannot fill a gap",
    "any_order": "it is not trained to fill gaps of any size",
}
"""What to say of a model that lacks a capability."""


class State(Protocol):
    """What a model knows of the texts that it has read, one row for each; its family's own."""

    def take(self, rows: Sequence[int]) -> Self:
        """Return the state of the rows with these numbers: repeated, dropped or in another order."""
        ...

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Return one state with the rows of all `states`, in order."""
        ...


class CarriedState(State, Protocol):
    """The state of a network that carries: tensors with one row for each row of the batch."""

    def tensors(self) -> "Mapping[str, Tensor]":
        """Return its tensors by name, each ``[B, ...]``."""
        ...

    @classmethod
    def of(cls, tensors: "Mapping[str, Tensor]") -> Self:
        """Return the state that has these tensors."""
        ...


class LanguageModel(Protocol):
    """Gives texts a probability."""

    vocab_size: int
    """Number of ids, V."""

    @property
    def family(self) -> str:
        """Name of its kind, as the key that chooses it spells it."""
        ...

    @property
    def context_length(self) -> int | None:
        """Most tokens that it sees; None where there is no limit."""
        ...

    @property
    def can(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def is_normalized(self) -> bool:
        """Whether the probabilities that it gives sum to one."""
        ...

    @property
    def is_bound(self) -> bool:
        """Whether the nats that it gives a text are an upper bound of its own."""
        ...


class CountedModel(LanguageModel, Protocol):
    """A model that was counted, not trained."""

    @property
    def facts(self) -> Mapping[str, float]:
        """What was estimated on the way, by name."""
        ...


class StreamingModel(LanguageModel, Protocol):
    """A model that reads on from where it stood."""

    def begin(self, num_rows: int) -> State:
        """Return the state before any token."""
        ...

    def step(self, ids: "NDArray[np.int64]", lengths: Sequence[int], state: Any) -> Any:
        """Read ``ids [B, T]``, of each row the first `lengths`, at least one, and move `state` on.

        Returns what gives the next token of each row its probability, ``[B, V]``, logarithms that need not
        be normalized: numpy's array, or a network's tensor on its device.
        """
        ...


def streaming(model: LanguageModel, purpose: str) -> StreamingModel:
    """Return a model as one that writes. Errors: `DataError` where it cannot, for what `purpose` needs."""
    require(model, ["next_token", "streams"], purpose)
    return cast(StreamingModel, model)


def require(model: LanguageModel, capabilities: Iterable[Capability], purpose: str) -> None:
    """Raise `DataError` where a model cannot do what `purpose` (``perplexity``) needs."""
    for capability in capabilities:
        if capability not in model.can:
            why = _OTHERWISE.get(capability, f"it has no {capability}")
            raise DataError(f"{purpose} cannot use this model, of the family {model.family}: {why}.")
