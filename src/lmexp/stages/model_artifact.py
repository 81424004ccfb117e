"""What every stage that makes a model leaves behind, whatever the family."""

from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact

if TYPE_CHECKING:
    from lmexp.models.interface import LanguageModel


class ModelArtifact(Artifact):
    """A model and its tokenizer in one directory, which `transformers` loads where it knows the family."""

    def load(self) -> "LanguageModel":
        """Return the model, on the CPU, to be evaluated."""
        from lmexp.models.folder import load_model

        return load_model(self.path)
