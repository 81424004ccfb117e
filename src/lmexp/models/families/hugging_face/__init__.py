"""Any causal model that Hugging Face's transformers computes: asked for probabilities, never trained here."""

from lmexp.models.families.hugging_face.config import HuggingFaceConfig

__all__ = ["HuggingFaceConfig"]
