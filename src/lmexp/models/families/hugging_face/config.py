"""What lmexp knows of the shape of a model that transformers computes."""

from lmexp.core.values.config import option
from lmexp.models.config import ContextConfig
from lmexp.models.interface import Capability


class HuggingFaceConfig(ContextConfig):
    """An architecture of transformers by its name; it is read from a folder and no kind to choose."""

    model_type: str = option()
    """As its config.json spells it: `llama`."""

    @property
    def can(self) -> frozenset[Capability]:
        return frozenset({"next_token"})

    @property
    def label(self) -> str:
        return self.model_type

    @property
    def size(self) -> str:
        return f"a {self.model_type} of {self.context_length} tokens"
