"""Recurrent networks: gated recurrent units and long short-term memory."""

from lmexp.models.families.recurrent.config import GRUConfig, LSTMConfig

__all__ = ["GRUConfig", "LSTMConfig"]
