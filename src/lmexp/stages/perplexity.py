"""The perplexity stage: how well a model predicts held-out documents, beside general compressors."""

from typing import TYPE_CHECKING, Any

from lmexp.core.stage import Artifact, Metrics, StageRun, stage
from lmexp.evals.config import PerplexityConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmexp.corpus.documents import Document
    from lmexp.tokenizer.tokenizer import Tokenizer


class PerplexityArtifact(Artifact):
    """One row for each document, in ``<split>.jsonl``."""


@stage("perplexity", version=1, produces=PerplexityArtifact, label=lambda c: "-".join(c.splits))
def perplexity(
    run: StageRun,
    config: PerplexityConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
) -> Metrics:
    """Score every document of each split alone and compress the same text."""
    from lmexp.evals.compressors import compressor_bits_per_byte
    from lmexp.evals.perplexity import evaluate_perplexity
    from lmexp.evals.scoring import ModelScorer

    encoder, network = tokenizer.load(), model.load()
    context_length = network.config.context_length
    scorer = ModelScorer(
        network,
        context_length=context_length,
        batch_size=config.batch_size,
        eos_token_id=encoder.eos_token_id,
    )
    stride = config.stride or max(1, context_length // 2)
    metrics: dict[str, float] = {}
    for split in config.splits:
        documents = held_out(corpus, split, config.limit)
        rows, found = evaluate_perplexity(
            scorer, _encoded(documents, encoder), context_length=context_length, stride=stride
        )
        write_rows(run.out / f"{split}.jsonl", rows)
        found = {**found, **compressor_bits_per_byte(document.text for document in documents)}
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
    return metrics


def held_out(corpus: CorpusArtifact, split: str, limit: int | None) -> "list[Document]":
    """Return the documents of a split, or the `limit` of them whose hashes are lowest."""
    from lmexp.corpus.documents import text_hash

    documents = list(corpus.documents(split))
    return documents if limit is None else sorted(documents, key=lambda d: text_hash(d.text))[:limit]


def _encoded(documents: "list[Document]", encoder: "Tokenizer") -> "Iterator[tuple[Any, ...]]":
    for document in documents:
        text = document.text
        yield document.id, encoder.encode(text), len(text.encode()), len(text.split())
