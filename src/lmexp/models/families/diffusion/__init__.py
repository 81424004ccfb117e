"""Masked diffusion: a bidirectional Transformer that predicts hidden tokens at any share of them hidden."""

from lmexp.models.families.diffusion.config import DiffusionConfig

__all__ = ["DiffusionConfig"]
