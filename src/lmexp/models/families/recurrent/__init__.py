"""Recurrent networks: simple ones, gated recurrent units and long short-term memory."""

from lmexp.models.families.recurrent.config import GRUConfig, LSTMConfig, RNNConfig

__all__ = ["GRUConfig", "LSTMConfig", "RNNConfig"]
