"""The perplexity stage: how well a model predicts held-out documents, beside general compressors.

Where the corpus is text of known entropy, the true model is scored by the same code on the same
documents, and the model's distance from it, the regret, is reported.
"""

import heapq
from typing import TYPE_CHECKING, Any

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.values.files import read_lines
from lmexp.errors import DataError
from lmexp.evals.config import PerplexityConfig
from lmexp.evals.needs import check_perplexity, require_window
from lmexp.models.device import check_device, computing
from lmexp.stages.conditions import Conditions
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lmexp.corpus.documents import Document
    from lmexp.evals.perplexity import EvalDocument
    from lmexp.models.interface import LanguageModel
    from lmexp.scoring.scorer import Scorer
    from lmexp.tokenizer.tokenizer import Tokenizer

CHUNK_CHARACTERS = 2**20
"""Text that is scored between two points from which a killed or stopped run goes on."""


class PerplexityArtifact(Artifact):
    """One row for each document, in ``<split>.jsonl``."""


@stage(
    "perplexity",
    version=2,
    produces=PerplexityArtifact,
    label=lambda c: "-".join(c.splits),
    resumes=True,
    check_inputs=check_perplexity,
    check_machine=check_device("perplexity"),
)
def perplexity(
    run: StageRun,
    config: PerplexityConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
) -> Metrics:
    """Score every document of each split alone and compress the same text.

    Metrics are ``<split>/<metric>`` for those of `lmexp.evals.perplexity` and the compressors', and the
    `context_length` and `stride` of the windows, for a model that reads in windows, and the number of `draws`
    of one whose figures are bounds. On text of known entropy ``<split>/entropy_bits_per_byte`` is the exact
    entropy, beside the figures of the true model. Of a model that is no distribution
    ``<split>/is_normalized`` is 0, and `score_ends` is 1 where ends were scored, `as_one_text` 1 where
    documents were read on through; `cache_tokens` says how
    many tokens of a document were remembered, if any. Where the tokenizer is not
    lossless ``<split>/lost_bytes`` and ``<split>/lost_share`` say what it loses. Chunks of documents that are
    done are kept, and a run that was killed or stopped goes on with the next.
    """
    with computing(model.load(), config, "perplexity") as network:
        return _measured(run, config, network, tokenizer.load(), corpus)


def _measured(
    run: StageRun,
    config: PerplexityConfig,
    network: "LanguageModel",
    encoder: "Tokenizer",
    corpus: CorpusArtifact,
) -> Metrics:
    from lmexp.evals.compressors import compressor_bits_per_byte
    from lmexp.evals.lost import lost_metrics, with_lost
    from lmexp.evals.perplexity import (
        default_stride,
        perplexity_metrics,
        score_as_one_text,
        score_documents,
    )
    from lmexp.tokenizer.config import ByteConfig

    if network.context_length is not None:
        require_window(config, network.context_length)
    scorer = scorer_for(config, network, encoder)
    context_length = config.context_length or network.context_length
    if network.is_bound:  # what begins a document takes a place of its window
        context_length = scorer.context_length
    stride = None if context_length is None else config.stride or default_stride(context_length)
    # the true model scores the whole text, also what a tokenizer loses
    spelling = encoder if encoder.is_lossless else ByteConfig().make(iter(()))
    if config.score_ends:
        _require_ends(corpus, encoder)
    truth, facts = _truth(corpus, spelling)
    how = {"context_length": context_length, "stride": stride, "draws": config.draws}
    metrics: dict[str, float] = {
        name: value
        for name, value in how.items()
        if value is not None and (name != "draws" or network.is_bound)
    }
    metrics |= {"score_ends": 1} if config.score_ends else {}
    metrics |= {"as_one_text": 1} if config.as_one_text else {}
    cache_tokens = config.continuous_cache.num_tokens
    metrics |= {} if cache_tokens is None else {"cache_tokens": cache_tokens}
    ends = (encoder.bos_token_id,) if config.score_ends else ()
    done = Conditions(run.work / "checkpoints", run.should_stop)

    if config.as_one_text and network.is_bound:
        raise DataError(
            f"perplexity.as_one_text cannot use this model, of the family {network.family}: it gives a "
            f"bound, whose error is known by document; set as_one_text=false."
        )
    score = score_as_one_text if config.as_one_text else score_documents

    def scored(chunk: "Sequence[Document]") -> "list[dict[str, Any]]":
        rows: Iterable[dict[str, Any]] = score(
            scorer, encoded(chunk, encoder, ends), context_length=context_length, stride=stride
        )
        if not encoder.is_lossless:
            rows = with_lost(rows, (document.text for document in chunk), encoder)
        if truth is None:
            return list(rows)
        return list(_paired(rows, score_documents(truth, encoded(chunk, spelling), context_length=None)))

    chunks = (lambda documents: [list(documents)]) if config.as_one_text else _chunks
    for split in config.splits:
        documents, path = held_out(corpus, split, config.limit), run.out / f"{split}.jsonl"
        write_rows(path, done.each(split, chunks(documents()), scored))
        if done.stopped:
            return {"stopped": 1}
        found = perplexity_metrics(read_lines(path)) | lost_metrics(read_lines(path))
        texts = (document.text for document in documents())
        found |= compressor_bits_per_byte(texts, int(found["bytes"])) | facts
        found |= {} if network.is_normalized else {"is_normalized": 0}
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
    return metrics


def scorer_for(
    config: PerplexityConfig,
    network: "LanguageModel",
    encoder: "Tokenizer",
    *,
    draws: int | None = None,
    purpose: str = "perplexity",
) -> "Scorer":
    """Return what makes the figures of `config`, which the audit asks again, a bound by so many `draws`."""
    from lmexp.scoring.scorer import scorer_of

    return scorer_of(
        network,
        context_length=config.context_length,
        batch_size=config.batch_size,
        bos_token_id=encoder.bos_token_id,
        draws=config.draws if draws is None else draws,
        cache=config.continuous_cache,
        purpose=purpose,
    )


def _chunks(documents: "Iterable[Document]") -> "Iterator[list[Document]]":
    """Yield the documents in order, in lists of `CHUNK_CHARACTERS` and what is left of the last one."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document.text)
        if size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def held_out(corpus: CorpusArtifact, split: str, limit: int | None) -> "Callable[[], Iterable[Document]]":
    """Return a function that gives the documents of a split, or the `limit` whose hashes are lowest.

    Without a limit each call streams them from disk.
    """
    from lmexp.corpus.documents import text_hash

    if limit is None:
        return lambda: corpus.documents(split)
    kept = heapq.nsmallest(limit, corpus.documents(split), key=lambda d: text_hash(d.text))
    return lambda: kept


def _truth(corpus: CorpusArtifact, encoder: "Tokenizer") -> "tuple[Scorer | None, dict[str, float]]":
    """Return the true model of the corpus and its exact entropy; None and nothing where it is not known."""
    source = corpus.known()
    if source is None:
        return None, {}
    from lmexp.known.build import build_process
    from lmexp.known.process import entropy_bits_per_byte
    from lmexp.scoring.truth import TrueScorer

    process = build_process(source)
    return TrueScorer(process, encoder), {"entropy_bits_per_byte": entropy_bits_per_byte(process)}


def _require_ends(corpus: CorpusArtifact, encoder: "Tokenizer") -> None:
    """Raise `DataError` where the end of a document is no token that both sides of a comparison predict."""
    if encoder.eos_token_id != encoder.bos_token_id:
        raise DataError(
            f"perplexity.score_ends needs one token that begins and ends documents, as training here puts "
            f"between them; this tokenizer begins with {encoder.bos_token_id} and ends with "
            f"{encoder.eos_token_id}; leave it out."
        )
    if corpus.known() is not None:
        raise DataError(
            "perplexity.score_ends is not for text of known entropy: its source says nothing of where a "
            "document ends; leave it out."
        )


def encoded(
    documents: "Iterable[Document]", encoder: "Tokenizer", ends: "Sequence[int]" = ()
) -> "Iterator[EvalDocument]":
    """Yield each document as it is scored: its ids and `ends`, and the bytes and words of its text."""
    for document in documents:
        text = document.text
        yield document.id, [*encoder.encode(text), *ends], len(text.encode()), len(text.split())


def _paired(
    rows: "Iterable[dict[str, Any]]", true_rows: "Iterable[dict[str, Any]]"
) -> "Iterator[dict[str, Any]]":
    for row, true_row in zip(rows, true_rows, strict=True):
        yield {**row, "true_nll_sum": true_row["nll_sum"], "true_bits_per_byte": true_row["bits_per_byte"]}
