"""The audit stage: whether a model's figures mean what they say, asked of what makes them."""

import dataclasses
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.core.store.record import read_record
from lmexp.core.values.config import build
from lmexp.evals.audit.config import AuditConfig
from lmexp.evals.config import PerplexityConfig
from lmexp.models.device import check_device, computing
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.perplexity import PerplexityArtifact, encoded, held_out, scorer_for
from lmexp.stages.rows import write_rows
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from lmexp.corpus.documents import Document
    from lmexp.evals.audit.contamination import Lineage
    from lmexp.evals.audit.finding import Finding
    from lmexp.evals.audit.subject import Subject
    from lmexp.evals.perplexity import EvalDocument
    from lmexp.models.interface import LanguageModel
    from lmexp.scoring.scorer import Scorer
    from lmexp.tokenizer.tokenizer import Tokenizer

NATS = {"32-true": 1e-3, "bf16-mixed": 0.25}
"""Most by which two scores of one token may differ by rounding, by `precision`."""


class AuditArtifact(Artifact):
    """One row for each check, in `audit.jsonl`."""


@stage(
    "audit",
    version=1,
    produces=AuditArtifact,
    label=lambda config: config.split,
    check_machine=check_device("audit"),
)
def audit(
    run: StageRun,
    config: AuditConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
    perplexity: PerplexityArtifact | None = None,
) -> Metrics:
    """Ask every question of `lmexp.evals.audit`; a check that fails is a result and no error.

    Asked is the scorer of `perplexity`, with its window, its draws and its memory; without one, that of the
    model as it is.
    Metrics are how many checks `passed`, `failed` and are `unknown`.
    Errors: `DataError` for a model that gives no next token a probability, and for a split without tokens.
    """
    from lmexp.evals.audit.finding import counts
    from lmexp.evals.audit.lineage import lineage_of

    with computing(model.load(), config, "audit") as network:
        few = held_out(corpus, config.split, config.documents)
        every = held_out(corpus, config.split, None)
        found = findings(
            config,
            network,
            tokenizer.load(),
            measured_by=_settings(perplexity),
            few=few,
            every=every,
            lineage=lineage_of(model.path),
            say=run.say,
        )
    rows = [finding.row() for finding in found]
    write_rows(run.out / "audit.jsonl", rows)
    return counts(rows)


def _settings(perplexity: PerplexityArtifact | None) -> PerplexityConfig:
    """Return the configuration by which figures were made."""
    if perplexity is None:
        return PerplexityConfig()
    return build(PerplexityConfig, read_record(perplexity.path).data["config"])


def findings(
    config: AuditConfig,
    model: "LanguageModel",
    encoder: "Tokenizer",
    *,
    measured_by: PerplexityConfig,
    few: "Callable[[], Iterable[Document]]",
    every: "Callable[[], Iterable[Document]]",
    lineage: "Lineage",
    say: "Callable[[str], None]",
) -> "list[Finding]":
    """Return what is found on a model, `measured_by` some settings: questions are about `few` documents, and
    figures are of `every` one."""
    from lmexp.evals.audit.audit import audit as ask
    from lmexp.evals.audit.contamination import check_test_split

    subject = subject_of(config, model, encoder, measured_by=measured_by, few=few, every=every)
    found = ask(subject, contexts=config.contexts, say=say)
    say("looks for its documents in what made it")
    return [*found, check_test_split(lineage, config.split, (document.text for document in every()))]


def subject_of(
    config: AuditConfig,
    model: "LanguageModel",
    encoder: "Tokenizer",
    *,
    measured_by: PerplexityConfig,
    few: "Callable[[], Iterable[Document]]",
    every: "Callable[[], Iterable[Document]]",
) -> "Subject":
    """Return a model as the perplexity stage measures it."""
    from lmexp.evals.audit.subject import Subject
    from lmexp.evals.perplexity import score_documents

    def scorer(batch_size: int | None) -> "Scorer":
        config = dataclasses.replace(measured_by, batch_size=batch_size)
        return scorer_for(config, model, encoder, purpose="audit")

    def bound(draws: int) -> "Scorer":
        return scorer_for(measured_by, model, encoder, draws=draws)

    context_length = scorer(None).context_length

    def measure(scorer: "Scorer", documents: "Iterable[EvalDocument]") -> "Iterator[Mapping[str, Any]]":
        return score_documents(scorer, documents, context_length=context_length)

    def measured() -> "Iterator[tuple[str, EvalDocument]]":
        for document in every():
            yield document.text, next(encoded([document], encoder))

    length = min(config.tokens, context_length or config.tokens)
    return Subject(
        scorer_of=scorer,
        measure=measure,
        tokenizer=encoder,
        bos_token_id=encoder.bos_token_id,
        vocab_size=model.vocab_size,
        measured=measured,
        pieces=[ids[:length] for _, ids, _, _ in encoded(few(), encoder) if len(ids)],
        nats=NATS[config.precision],
        seed=config.seed,
        bound=bound if model.is_bound else None,
    )
