"""What a corpus is made of and how it is split."""

from lmexp.core.config import Config, option
from lmexp.errors import ConfigError


class CorpusConfig(Config):
    """Source and splits of a corpus."""

    files: tuple[str, ...] = option((), by_content=True)
    """Local text (.txt) and JSON Lines (.jsonl) files, as paths or glob patterns. Empty means the
    source text of the running Python's standard library."""

    text_column: str = option("text")
    """The key of a JSON Lines object that holds the text."""

    max_document_bytes: int | None = option(8192, ge=256)
    """A .txt file longer than this is cut at blank lines, or else at line ends, into documents of
    at most this many bytes; null keeps every file whole. Other sources are never cut."""

    validation_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `validation`."""

    test_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `test`."""

    def check(self) -> None:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction + test_fraction must be less than 1 to leave documents for "
                f"training, was {self.validation_fraction + self.test_fraction:g}."
            )
