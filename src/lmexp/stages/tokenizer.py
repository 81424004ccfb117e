"""The tokenizer stage: byte-level BPE trained on the train split."""

from typing import TYPE_CHECKING

from lmexp.core.stage import Artifact, Metrics, StageRun, stage
from lmexp.stages.corpus import CorpusArtifact
from lmexp.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer


class TokenizerArtifact(Artifact):
    """A trained tokenizer, as `tokenizer.json`."""

    def load(self) -> "Tokenizer":
        """Return the tokenizer."""
        from lmexp.tokenizer.tokenizer import Tokenizer

        return Tokenizer.load(self.path)


@stage("tokenizer", version=1, produces=TokenizerArtifact, label=lambda config: f"bpe-{config.vocab_size}")
def tokenizer(run: StageRun, config: TokenizerConfig, *, corpus: CorpusArtifact) -> Metrics:
    """Train on the train split alone; held-out text never shapes the vocabulary."""
    from lmexp.tokenizer.train import train_tokenizer

    trained = train_tokenizer(config, (document.text for document in corpus.documents("train")))
    trained.save(run.out)
    return {"vocab_size": trained.vocab_size}
