"""What a corpus is made of and how it is split."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.core.config import Config, option
from lmexp.errors import ConfigError
from lmexp.known.config import ProcessConfig


class SourceConfig(Config):
    """What every source of documents has."""

    KIND: ClassVar[str]


class PythonStdlibSource(SourceConfig):
    """The source text of the running Python's standard library."""

    KIND: ClassVar[str] = "python_stdlib"


class LocalSource(SourceConfig):
    """Text (.txt) and JSON Lines (.jsonl) files on this machine."""

    KIND: ClassVar[str] = "local"

    files: tuple[str, ...] = option(by_content=True)
    """Paths or glob patterns."""

    column: str = option("text")
    """The key of a JSON Lines object that holds the text."""


class KnownSource(SourceConfig, ProcessConfig):
    """Text drawn from a random process whose entropy is computed exactly."""

    KIND: ClassVar[str] = "known"

    num_documents: int = option(4000, ge=1, le=100_000_000)
    """Documents drawn."""

    num_lines: int = option(16, ge=1, le=100_000)
    """Lines of each document."""


SOURCES: dict[str, type[SourceConfig]] = {
    cls.KIND: cls for cls in (PythonStdlibSource, LocalSource, KnownSource)
}
"""The kinds of sources."""


class CorpusConfig(Config):
    """Source and splits of a corpus."""

    sources: Mapping[str, SourceConfig] = option(variants=SOURCES, absent_means={})
    """Sources by a name of the user's choice; `kind` says which sort a source is of. No source and no
    `files` means the source text of the running Python's standard library."""

    files: tuple[str, ...] = option((), by_content=True)
    """Short for a source of the kind `local`: paths or glob patterns."""

    text_column: str = option("text")
    """The key of a JSON Lines object in `files` that holds the text."""

    max_document_bytes: int | None = option(8192, ge=256)
    """A .txt file longer than this is cut at blank lines, or else at line ends, into documents of
    at most this many bytes; null keeps every file whole. Other sources are never cut."""

    validation_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `validation`."""

    test_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `test`."""

    shard_bytes: int = option(2**28, ge=1, placement=True)
    """Bytes of text after which a Parquet shard of a split ends and the next begins."""

    def check(self) -> None:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction + test_fraction must be less than 1 to leave documents for "
                f"training, was {self.validation_fraction + self.test_fraction:g}."
            )
