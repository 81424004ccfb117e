"""A bidirectional Transformer, as BERT is one."""

from lmexp.models.families.encoder.config import EncoderConfig

__all__ = ["EncoderConfig"]
