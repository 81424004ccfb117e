"""The stages that make a tokenizer: byte-level BPE trained on the train split, and all other kinds.

BPE has a stage of its own, whose configuration is its own fields: there were no other kinds at first, and its
artifacts stay what they are.
"""

import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.values.config import Config, option
from lmexp.errors import DataError
from lmexp.stages.corpus import CorpusArtifact
from lmexp.tokenizer.config import TOKENIZERS, ByteBPEConfig, TokenizerConfig

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

_SAMPLE_CHARACTERS = 2000


class TokenizerArtifact(Artifact):
    """A tokenizer, as `tokenizer.json`."""

    def load(self) -> "Tokenizer":
        """Return the tokenizer."""
        from lmexp.tokenizer.folder import load_tokenizer

        return load_tokenizer(self.path)


class MadeTokenizerConfig(Config):
    """A tokenizer of any kind."""

    tokenizer: TokenizerConfig = option(one_of=TOKENIZERS)
    """The kind, with its own keys."""


@stage("made_tokenizer", version=1, produces=TokenizerArtifact, label=lambda config: config.tokenizer.label)
def made_tokenizer(run: StageRun, config: MadeTokenizerConfig, *, corpus: CorpusArtifact) -> Metrics:
    """Make a tokenizer by its kind's `make`, which reads the train split alone, if any text.

    Of one that is not lossless the metrics say how much of the validation split is lost.
    Errors: as `tokenizer`.
    """
    texts = (text for batch in corpus.text_batches("train") for text in batch.to_pylist())
    made = config.tokenizer.make(texts)
    kind = TOKENIZERS.kind_of(config.tokenizer)
    return _published(run, made, {}, corpus, kind=kind)


@stage("tokenizer", version=1, produces=TokenizerArtifact, label=lambda config: config.label)
def tokenizer(run: StageRun, config: ByteBPEConfig, *, corpus: CorpusArtifact) -> Metrics:
    """Train on the train split alone; held-out text never shapes the vocabulary.

    `report.json` says what trained it, and what it does to the validation split, each document of
    which must come back from its tokens.
    Errors: `DataError` for a document that does not, with its id.
    """
    from lmexp.tokenizer.fast_train import train_on_batches

    trained = train_on_batches(config, lambda: corpus.text_batches("train"), corpus.num_bytes("train"))
    metrics = _published(run, trained.tokenizer, trained.record, corpus)
    return {**metrics, "train/bytes": trained.record["bytes"]}


def _published(
    run: StageRun, made: "Tokenizer", record: Mapping[str, Any], corpus: CorpusArtifact, *, kind: str = ""
) -> dict[str, float]:
    """Write a tokenizer and its report, `record` saying what trained it, and return what was measured."""
    from lmexp.tokenizer.encoders import choose_encoder
    from lmexp.tokenizer.folder import write_own
    from lmexp.tokenizer.library import LibraryTokenizer
    from lmexp.tokenizer.report import RoundTripError, tokenizer_report

    made.save(run.out)
    if not isinstance(made, LibraryTokenizer):
        write_own(run.out, kind)
    sample = [text[:_SAMPLE_CHARACTERS] for text in next(corpus.text_batches("validation"))[:100].to_pylist()]
    encoder = choose_encoder(made, sample)
    try:
        validation = tokenizer_report(made, encoder, corpus.text_batches("validation"))
    except RoundTripError as error:
        wrong = next(islice(corpus.documents("validation"), error.index, None))
        raise DataError(
            f"The document {wrong.id!r} of validation is not what its tokens decode to: the tokenizer "
            f"loses text."
        ) from None
    report = {
        "vocab_size": made.vocab_size,
        "train": dict(record),
        "validation": validation,
        "encoder": encoder.record,
    }
    (run.out / "report.json").write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    names = ("bytes_per_token", "vocab_used", "unused_tokens", "lost_bytes", "lost_share")
    return {
        "vocab_size": made.vocab_size,
        **{f"validation/{name}": validation[name] for name in names if name in validation},
    }
