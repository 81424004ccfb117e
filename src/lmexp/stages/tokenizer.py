"""The tokenizer stage: byte-level BPE trained on the train split."""

import json
from itertools import islice
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.errors import DataError
from lmexp.stages.corpus import CorpusArtifact
from lmexp.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

_SAMPLE_CHARACTERS = 2000


class TokenizerArtifact(Artifact):
    """A trained tokenizer, as `tokenizer.json`."""

    def load(self) -> "Tokenizer":
        """Return the tokenizer."""
        from lmexp.tokenizer.tokenizer import Tokenizer

        return Tokenizer.load(self.path)


@stage("tokenizer", version=1, produces=TokenizerArtifact, label=lambda config: f"bpe-{config.vocab_size}")
def tokenizer(run: StageRun, config: TokenizerConfig, *, corpus: CorpusArtifact) -> Metrics:
    """Train on the train split alone; held-out text never shapes the vocabulary.

    `report.json` says what trained it, and what it does to the validation split, each document of
    which must come back from its tokens.
    Errors: `DataError` for a document that does not, with its id.
    """
    from lmexp.tokenizer.encoders import choose_encoder
    from lmexp.tokenizer.fast_train import train_on_batches
    from lmexp.tokenizer.report import RoundTripError, tokenizer_report

    trained = train_on_batches(config, lambda: corpus.text_batches("train"), corpus.num_bytes("train"))
    trained.tokenizer.save(run.out)
    sample = [text[:_SAMPLE_CHARACTERS] for text in next(corpus.text_batches("validation"))[:100].to_pylist()]
    encoder = choose_encoder(trained.tokenizer, sample)
    try:
        validation = tokenizer_report(trained.tokenizer, encoder, corpus.text_batches("validation"))
    except RoundTripError as error:
        wrong = next(islice(corpus.documents("validation"), error.index, None))
        raise DataError(
            f"The document {wrong.id!r} of validation is not what its tokens decode to: the tokenizer "
            f"loses text."
        ) from None
    report = {
        "vocab_size": trained.tokenizer.vocab_size,
        "train": trained.record,
        "validation": validation,
        "encoder": encoder.record,
    }
    (run.out / "report.json").write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    names = ("bytes_per_token", "vocab_used", "unused_tokens")
    return {
        "vocab_size": trained.tokenizer.vocab_size,
        "train/bytes": trained.record["bytes"],
        **{f"validation/{name}": validation[name] for name in names},
    }
