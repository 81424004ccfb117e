"""Decoder-only Transformers that transformers reads as Qwen3."""

from lmexp.models.families.qwen3.config import GPTConfig

__all__ = ["GPTConfig"]
