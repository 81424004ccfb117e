"""The registry of sources at work: from a corpus's configuration to its documents and their identity.

Each kind of source has a module with two functions: `content(source, hasher)`, what stands for the
source's external content in the corpus's fingerprint, which the planner calls on every run and
which therefore imports nothing heavy; and `documents(source, context)`, the documents themselves.

Sources stand in order of their names. Where there are several, a source's name and a slash precede
the ids of its documents and the names of its content.
"""

import importlib
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmexp.core.values.config import build
from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import (
    CorpusConfig,
    HttpSource,
    HubSource,
    KnownSource,
    LocalSource,
    PrimerSource,
    PythonStdlibSource,
    SourceConfig,
)
from lmexp.corpus.documents import Document, SourceContext, TextUnits
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.sources.local import check_names
from lmexp.errors import ConfigError

_MODULES: dict[type[SourceConfig], str] = {
    HttpSource: "lmexp.corpus.sources.http",
    HubSource: "lmexp.corpus.sources.hub",
    KnownSource: "lmexp.corpus.sources.known",
    LocalSource: "lmexp.corpus.sources.local",
    PrimerSource: "lmexp.corpus.sources.primer",
    PythonStdlibSource: "lmexp.corpus.sources.python_stdlib",
}
_FILES = "files"
"""Name of the source that `corpus.files` is short for."""


def all_sources(config: CorpusConfig) -> dict[str, SourceConfig]:
    """Return the sources by name, what `files` and an empty configuration stand for included."""
    sources: dict[str, SourceConfig] = dict(config.sources)
    if config.files:
        if _FILES in sources:
            raise ConfigError(f"corpus.files is short for corpus.sources.{_FILES}; give one of the two.")
        sources[_FILES] = build(LocalSource, {"files": config.files, "column": config.text_column})
    first = {"test": 0, "validation": 1}  # of equal texts the first is kept: what is held out stays so
    order = sorted(sources, key=lambda name: (first.get(sources[name].into or "", 2), name))
    return {name: sources[name] for name in order} or {PythonStdlibSource.KIND: build(PythonStdlibSource, {})}


def content_hashes(
    config: CorpusConfig, hasher: FileHasher, *, without: Collection[str] = ()
) -> dict[str, str]:
    """Return what stands for the content of sources, but those named, in the corpus's fingerprint.

    Errors: `DataError` where a source cannot be found, for local files with the whole key that names them.
    """
    sources = all_sources(config)
    found: dict[str, str] = {}
    for name, source in sources.items():
        if name in without:
            continue
        if isinstance(source, LocalSource):
            check_names(source, files_key(name, config), drop=config.on_bad_row == "drop")
        own = _module(source).content(source, hasher)
        found |= {f"{_prefix(name, sources)}{key}": value for key, value in own.items()}
    return found


def files_key(name: str, config: CorpusConfig) -> str:
    """Return the whole key that names the files of the local source `name`."""
    return f"corpus.{f'sources.{name}.' * (name in config.sources)}files"


def content_of(name: str, config: CorpusConfig, content: Mapping[str, str]) -> dict[str, str]:
    """Return the part of `content_hashes` that is of the source `name`, as its module named it."""
    prefix = _prefix(name, all_sources(config))
    return {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}


def read_sources(
    config: CorpusConfig,
    *,
    cache: Path,
    content: Mapping[str, str],
    dropped: Mapping[str, Counter[str]],
) -> dict[str, Iterator[Document]]:
    """Return the documents of each source, to be read as they are asked for.

    `content` is what `content_hashes` gave to the plan, `cache` the store's cache directory, and
    `dropped` counts, for each source and by reason, what it leaves out itself.
    Errors, as they are read: `DataError` where a source cannot be read.
    """
    sources = all_sources(config)
    return {
        name: _documents(
            source,
            SourceContext(
                units=TextUnits(config.document, config.max_document_bytes),
                cache=cache,
                content=content_of(name, config, content),
                dropped=dropped[name],
                bad=BadRows(dropped[name], drop=config.on_bad_row == "drop"),
                deduplicate=config.deduplicate,
            ),
            _prefix(name, sources),
        )
        for name, source in sources.items()
    }


def _documents(source: SourceConfig, context: SourceContext, prefix: str) -> Iterator[Document]:
    documents = itertools.islice(_module(source).documents(source, context), source.limit)
    if not prefix:
        return documents
    return (replace(document, id=f"{prefix}{document.id}") for document in documents)


def _prefix(name: str, sources: Mapping[str, SourceConfig]) -> str:
    return f"{name}/" if len(sources) > 1 else ""


def source_facts(source: SourceConfig) -> dict[str, float]:
    """Return what a kind of source knows of its text beforehand: numbers for the card and the metrics."""
    facts = getattr(_module(source), "facts", None)
    return facts(source) if facts else {}


def _module(source: SourceConfig) -> Any:
    return importlib.import_module(_MODULES[type(source)])
