"""What a network is trained to do."""

from typing import ClassVar

from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf
from lmexp.errors import ConfigError
from lmexp.models.interface import Capability


class ObjectiveConfig(Config):
    """What all objectives have in common."""

    requires: ClassVar[frozenset[Capability]]
    """What a network must be able to do for it."""
    extra_ids: ClassVar[int] = 0
    """Ids that the network needs past the tokenizer's."""


class NextTokenConfig(ObjectiveConfig):
    """Each token is predicted from those before it."""

    requires = frozenset({"next_token"})


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


OBJECTIVES = OneOf(
    key="name",
    kinds={"next_token": NextTokenConfig, "masked_token": MaskedTokenConfig},
    unnamed="next_token",
)
"""The configurations of the objectives."""
