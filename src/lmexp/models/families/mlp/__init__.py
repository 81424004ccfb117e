"""The neural model of a fixed window."""

from lmexp.models.families.mlp.config import MLPConfig

__all__ = ["MLPConfig"]
