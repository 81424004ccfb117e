"""GPT-2."""

from lmexp.models.families.gpt2.config import GPT2Config

__all__ = ["GPT2Config"]
