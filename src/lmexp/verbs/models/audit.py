"""Audits a model that exists: whether figures made with it would mean what they say."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.errors import ConfigError, DataError
from lmexp.verbs.models.folder import model_folder
from lmexp.verbs.words import print_json, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lmexp.corpus.documents import Document
    from lmexp.evals.audit.contamination import Lineage


def audit(arguments: argparse.Namespace) -> int:
    """RUN or PATH: ask the scorer of a model whether its figures mean what they say; 1 where a check fails"""
    stores = [word for word in arguments.words if word.startswith("store=")]
    words = [word for word in arguments.words if not word.startswith("store=")]
    if len(words) != 1:
        raise ConfigError("audit takes one RUN or the PATH of a model; see lmexp ls.")
    folder = model_folder(words[0], stores)

    from lmexp import load_tokenizer
    from lmexp.analysis.audits import audit_text
    from lmexp.core.store.record import require_published
    from lmexp.evals.audit.config import AuditConfig
    from lmexp.evals.audit.lineage import lineage_of
    from lmexp.evals.config import PerplexityConfig
    from lmexp.models.device import computing
    from lmexp.models.folder import load_any
    from lmexp.stages.corpus import CorpusArtifact
    from lmexp.stages.measures.audit import findings
    from lmexp.stages.perplexity import held_out

    require_published(folder)
    model, tokenizer = load_any(folder), load_tokenizer(folder)
    few: Callable[[], Iterable[Document]]
    every: Callable[[], Iterable[Document]]
    config, lineage = AuditConfig(), lineage_of(folder)
    if arguments.file is not None:
        documents = _paragraphs(Path(arguments.file))
        few, every = lambda: documents[: config.documents], lambda: documents
    else:
        corpus = CorpusArtifact(_corpus(lineage, words[0]))
        few, every = (held_out(corpus, config.split, limit) for limit in (config.documents, None))
    with computing(model, config, "audit") as placed:
        found = findings(
            config,
            placed,
            tokenizer,
            measured_by=PerplexityConfig(),
            few=few,
            every=every,
            lineage=lineage,
            say=lambda _text: None,
        )
    rows = [finding.row() for finding in found]
    if arguments.json:
        print_json({"model": str(folder), "checks": rows})
    else:
        print(audit_text(rows))
    return int(any(row["verdict"] == "fail" for row in rows))


def _corpus(lineage: "Lineage", name: str) -> Path:
    """Return the one corpus that a model was made from. Errors: `ConfigError` where it is not one."""
    corpora = {reading.corpus for reading in lineage.readings}
    if len(corpora) != 1:
        raise ConfigError(
            f"{name} was made from {len(corpora)} corpora of this store, and its figures are of one; give "
            f"texts by --file FILE, or run the experiment with +audit=default."
        )
    return corpora.pop()


def _paragraphs(path: Path) -> "list[Document]":
    """Return the paragraphs of a text file as documents. Errors: `DataError` for one that holds none."""
    from lmexp.corpus.documents import Document

    parts = [part for part in text_of(path).split("\n\n") if part.strip()]
    if not parts:
        raise DataError(f"{path} holds no text; give a file of paragraphs with an empty line between them.")
    return [Document(text=part, id=str(i)) for i, part in enumerate(parts)]
