"""The registry of sources at work: from a corpus's configuration to its documents and their identity.

Each kind of source has a module with two functions: `content(source, hasher)`, what stands for the
source's external content in the corpus's fingerprint, which the planner calls on every run and
which therefore imports nothing heavy; and `documents(source, context)`, the documents themselves.

Sources follow each other in order of their names. Where there are several, a source's name and a
slash precede the ids of its documents and the names of its content.
"""

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.files import FileHasher
from lmexp.corpus.config import CorpusConfig, KnownSource, LocalSource, PythonStdlibSource, SourceConfig
from lmexp.corpus.documents import Document, SourceContext
from lmexp.errors import ConfigError

_MODULES: dict[type[SourceConfig], str] = {
    KnownSource: "lmexp.corpus.known",
    LocalSource: "lmexp.corpus.local",
    PythonStdlibSource: "lmexp.corpus.python_stdlib",
}
_FILES = "files"
"""Name of the source that `corpus.files` is short for."""


def all_sources(config: CorpusConfig) -> dict[str, SourceConfig]:
    """Return the sources by name, what `files` and an empty configuration stand for included."""
    sources: dict[str, SourceConfig] = dict(config.sources)
    if config.files:
        if _FILES in sources:
            raise ConfigError(f"corpus.files is short for corpus.sources.{_FILES}; give one of the two.")
        sources[_FILES] = LocalSource(files=config.files, column=config.text_column)
    return dict(sorted(sources.items())) or {PythonStdlibSource.KIND: PythonStdlibSource()}


def content_hashes(config: CorpusConfig, hasher: FileHasher) -> dict[str, str]:
    """Return what stands for the content of all sources in the corpus's fingerprint."""
    sources = all_sources(config)
    found: dict[str, str] = {}
    for name, source in sources.items():
        prefix = f"{name}/" if len(sources) > 1 else ""
        for key, value in _module(source).content(source, hasher).items():
            found[f"{prefix}{key}"] = value
    return found


def read_documents(
    config: CorpusConfig,
    *,
    cache: Path,
    content: Mapping[str, str],
    dropped: Counter[str] | None = None,
) -> Iterator[Document]:
    """Yield the documents of all sources; what is left out is counted by reason in `dropped`.

    `content` is what `content_hashes` gave to the plan, `cache` the store's cache directory.
    Errors: `DataError` where a source cannot be read.
    """
    counts: Counter[str] = Counter() if dropped is None else dropped
    sources = all_sources(config)
    for name, source in sources.items():
        prefix = f"{name}/" if len(sources) > 1 else ""
        own = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
        context = SourceContext(
            max_document_bytes=config.max_document_bytes, cache=cache, content=own, dropped=counts
        )
        for document in _module(source).documents(source, context):
            if document.text.isspace() or not document.text:
                counts["only whitespace"] += 1
            else:
                yield Document(document.text, f"{prefix}{document.id}", document.metadata)


def source_facts(source: SourceConfig) -> dict[str, float]:
    """Return what a kind of source knows of its text beforehand: numbers for the card and the metrics."""
    facts = getattr(_module(source), "facts", None)
    return facts(source) if facts else {}


def _module(source: SourceConfig) -> Any:
    return importlib.import_module(_MODULES[type(source)])
