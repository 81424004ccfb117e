"""What a network is trained to do: the kinds of objectives, each with what makes it.

A configuration imports no torch: what it makes is imported when it is made.
"""

import abc
from typing import TYPE_CHECKING, ClassVar

from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf
from lmexp.errors import ConfigError
from lmexp.models.interface import Capability

if TYPE_CHECKING:
    from lmexp.training.objectives.objective import Objective


class ObjectiveConfig(Config, abc.ABC):
    """What all objectives have in common."""

    extra_ids: ClassVar[int] = 0
    """Ids that the network needs past the tokenizer's."""

    @property
    @abc.abstractmethod
    def requires(self) -> frozenset[Capability]:
        """What a network must be able to do for it; kinds state it as an attribute of the class."""

    @abc.abstractmethod
    def make(self, *, vocab_size: int, eos_token_id: int, documents: bool) -> "Objective":
        """Return the objective.

        `vocab_size` counts the tokenizer's ids, of which `eos_token_id` stands between documents. With
        `documents` each of these stands alone.
        """


class NextTokenConfig(ObjectiveConfig):
    """Each token is predicted from those before it."""

    requires = frozenset({"next_token"})

    def make(self, *, vocab_size: int, eos_token_id: int, documents: bool) -> "Objective":  # noqa: ARG002
        from lmexp.training.objectives.next_token import NextToken

        return NextToken(eos_token_id if documents else None)


class MaskedTokenConfig(ObjectiveConfig):
    """Some tokens of a sample are hidden and predicted from all others (Devlin et al., arXiv 1810.04805)."""

    requires = frozenset({"masked_token"})
    extra_ids = 1  # the mask

    rate: float = option(default=0.15, gt=0, le=1)
    """Share of a sample's tokens that are predicted, at least one."""

    masked: float = option(default=0.8, ge=0, le=1)
    """Share of these that the mask stands in for."""

    replaced: float = option(default=0.1, ge=0, le=1)
    """Share of these that a token drawn at random stands in for; the rest is left as it is."""

    def check(self) -> None:
        if self.masked + self.replaced > 1:
            raise ConfigError(
                f"masked ({self.masked}) and replaced ({self.replaced}) are shares of the predicted tokens; "
                f"together they must be at most 1."
            )

    def make(self, *, vocab_size: int, eos_token_id: int, documents: bool) -> "Objective":
        from lmexp.training.objectives.masked_token import MaskedToken

        return MaskedToken(
            rate=self.rate,
            masked=self.masked,
            replaced=self.replaced,
            mask_token_id=vocab_size,
            eos_token_id=eos_token_id,
            documents=documents,
        )


class MaskedDiffusionConfig(ObjectiveConfig):
    """Tokens are hidden at every rate alike; a bound of the text's nats (Sahoo et al., arXiv 2406.07524)."""

    requires = frozenset({"any_order"})
    extra_ids = 1  # the mask

    def make(self, *, vocab_size: int, eos_token_id: int, documents: bool) -> "Objective":
        from lmexp.training.objectives.masked_diffusion import MaskedDiffusion

        return MaskedDiffusion(mask_token_id=vocab_size, eos_token_id=eos_token_id, documents=documents)


OBJECTIVES = OneOf(
    key="name",
    kinds={
        "next_token": NextTokenConfig,
        "masked_token": MaskedTokenConfig,
        "masked_diffusion": MaskedDiffusionConfig,
    },
    unnamed="next_token",
)
"""The configurations of the objectives."""


def register_objective(name: str, cls: type[ObjectiveConfig]) -> None:
    """Add an objective of one's own, `objective.name=<name>`; see docs/add-an-objective.md.

    Errors: those of `OneOf.register`.
    """
    OBJECTIVES.register(name, cls, base=ObjectiveConfig)
