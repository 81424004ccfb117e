"""A matrix whose weights its network draws."""

from torch import nn


class Linear(nn.Linear):
    """A matrix, left unfilled: a network draws all of its weights itself."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Do nothing, so that construction does not read the global random state."""
