"""What a corpus is made of and how it is split."""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from lmexp.core.config import Config, build, option
from lmexp.core.redact import redact
from lmexp.errors import ConfigError
from lmexp.known.config import ProcessConfig

_FORMATS = ("txt", "md", "jsonl", "csv", "parquet")


class SourceConfig(Config):
    """What every source of documents has."""

    KIND: ClassVar[str]

    weight: float | None = option(None, gt=0, absent_means=None)
    """Share of the corpus, relative to the weights of the other sources: their documents alternate so
    that their bytes stand in this proportion throughout, until one source is used up. Where no
    source has a weight they follow each other, whole."""

    limit: int | None = option(None, ge=1, absent_means=None)
    """Most documents that are read from the source."""

    into: str | None = option(None, choices=("train", "validation", "test"), absent_means=None)
    """The split that every document of the source goes to; null goes by the hash of each."""

    licence: str | None = option(None, absent_means=None)
    """The licence of the text, for the dataset card."""


class PythonStdlibSource(SourceConfig):
    """The source text of the running Python's standard library."""

    KIND: ClassVar[str] = "python_stdlib"


class LocalSource(SourceConfig):
    """Files on this machine: .txt, .md, .jsonl, .csv (these also .gz, .bz2, .xz or .zst) and .parquet."""

    KIND: ClassVar[str] = "local"

    files: tuple[str, ...] = option(by_content=True)
    """Paths or glob patterns."""

    column: str = option("text")
    """The key of a JSON Lines object, or the column of a CSV or Parquet file, that holds the text."""

    format: str | None = option(None, choices=_FORMATS, absent_means=None)
    """The format of all the files, where their suffixes do not say it."""


def _check_url(url: str) -> None:
    """Raise `ConfigError` for what cannot be asked for, or must not be recorded."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"urls must be URLs, was {url!r}: {error}.") from None
    if not url.isascii():
        raise ConfigError(f"urls must be percent-encoded, in ASCII, was {url!r}.")
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
        raise ConfigError(f"urls must begin with http:// or https:// and a host, was {url!r}.")
    if "@" in parts.netloc:
        raise ConfigError("urls must hold no user name and no password: they would be recorded.")
    if redact(url) != url or re.search(r"(?i)[?&](sig|auth|x-amz-\w+)", url):
        raise ConfigError("urls must hold no key, token or signature: they would be recorded.")


class HttpSource(SourceConfig):
    """Files from the web, fixed by their sha256: of the formats of `local`, or archives of such files
    (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst), which are read in place."""

    KIND: ClassVar[str] = "http"

    urls: tuple[str, ...] = option()
    """Where the files are: http or https, without a password."""

    sha256: tuple[str, ...] = option()
    """The sha256 of each of them, 64 hexadecimal digits."""

    members: tuple[str, ...] = option((), absent_means=())
    """Patterns of the names of an archive's members, in which `*` matches slashes too. None means
    every member of a known format."""

    column: str = option("text")
    """The key of a JSON Lines object, or the column of a CSV or Parquet file, that holds the text."""

    format: str | None = option(None, choices=_FORMATS, absent_means=None)
    """The format of all the files, or members, where their suffixes do not say it."""

    max_unpacked_bytes: int = option(2**36, ge=1, placement=True)
    """Most bytes that a compressed file or an archive may unpack to; more is refused."""

    retries: int = option(5, ge=0, placement=True)
    """How often in a row an attempt may fail without getting further, each after twice the wait."""

    timeout_s: float = option(30.0, gt=0, placement=True)
    """Seconds that a server may be silent."""

    def check(self) -> None:
        if not self.urls:
            raise ConfigError("urls must name at least one file.")
        if len(self.urls) != len(self.sha256):
            raise ConfigError(
                f"sha256 must have one value for each of the {len(self.urls)} urls, has {len(self.sha256)}."
            )
        for url in self.urls:
            _check_url(url)
        for value in self.sha256:
            if not re.fullmatch(r"[0-9a-f]{64}", value):
                raise ConfigError(f"sha256 must be 64 hexadecimal digits, in lower case, was {value!r}.")


class HubSource(SourceConfig):
    """A dataset of the Hugging Face hub."""

    KIND: ClassVar[str] = "hub"

    name: str = option()
    """The dataset: ``owner/name``."""

    subset: str | None = option(None)
    """Which of its configurations; null is its default one."""

    split: str = option("train")
    """The split that is read. Which documents become validation and test is up to their hashes."""

    column: str = option("text")
    """The column that holds the text."""

    revision: str = option("main", placement=True)
    """A branch, a tag or a commit. The commit that it stands for when the corpus is first planned, and
    that the store then remembers, is what identifies the data."""

    streaming: bool = option(False, placement=True)
    """Read the rows as they arrive instead of downloading the whole split first; for a `limit`."""

    document_start: str | None = option(None, absent_means=None)
    """A regular expression for datasets with a line of text a row: a row that it matches begins a
    document, and the rows up to the next one are joined."""

    def check(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.name):
            raise ConfigError(f"name must be that of a dataset, like owner/name, was {self.name!r}.")
        if not re.fullmatch(r"[\w.-]+", self.split):
            raise ConfigError(f"split must be a plain name, was {self.split!r}; `limit` takes its beginning.")
        if not re.fullmatch(r"[\w./-]+", self.revision):
            raise ConfigError(f"revision must be a branch, a tag or a commit, was {self.revision!r}.")
        try:
            re.compile(self.document_start or "")
        except re.error as error:
            raise ConfigError(
                f"document_start must be a regular expression, was {self.document_start!r}: {error}."
            ) from None


class KnownSource(SourceConfig, ProcessConfig):
    """Text drawn from a random process whose entropy is computed exactly."""

    KIND: ClassVar[str] = "known"

    num_documents: int = option(4000, ge=1, le=100_000_000)
    """Documents drawn."""

    num_lines: int = option(16, ge=1, le=100_000)
    """Lines of each document."""


class PrimerSource(SourceConfig):
    """Generated text in which tasks are taught by example; each share is relative to the others."""

    KIND: ClassVar[str] = "primer"

    seed: int = option(0, ge=0, le=2**63 - 1)
    """Seeds every document."""

    num_documents: int = option(20_000, ge=1, le=100_000_000)
    """Documents generated."""

    operator: float = option(2.0, ge=0)
    """Share of documents about a made-up operator on two numbers."""

    translation: float = option(1.0, ge=0)
    """Share of tables of words and their translations."""

    copy: float = option(1.0, ge=0)
    """Share of documents that copy words in some order."""

    sort: float = option(1.0, ge=0)
    """Share of documents that sort numbers."""

    question: float = option(1.0, ge=0)
    """Share of documents of facts, questions and answers."""

    story: float = option(0.5, ge=0)
    """Share of stories."""

    @property
    def shares(self) -> dict[str, float]:
        """The shares by what the documents hold."""
        return {name: getattr(self, name) for name in _PRIMER_SHARES}

    def check(self) -> None:
        if not any(self.shares.values()):
            raise ConfigError(f"at least one of {', '.join(_PRIMER_SHARES)} must be above 0.")


_PRIMER_SHARES = ("operator", "translation", "copy", "sort", "question", "story")

SOURCES: dict[str, type[SourceConfig]] = {
    cls.KIND: cls
    for cls in (PythonStdlibSource, LocalSource, HttpSource, HubSource, KnownSource, PrimerSource)
}
"""The kinds of sources."""


class FilterConfig(Config):
    """Which documents are dropped, each counted under the key that dropped it; null and [] are off.

    Words are what white space separates, lines and paragraphs those with anything but white space in
    them. `+corpus/filters=gopher` sets the values of Gopher (Rae et al., arXiv 2112.11446, table A1).
    """

    min_bytes: int | None = option(None, ge=1)
    """Fewest bytes of UTF-8."""

    max_bytes: int | None = option(None, ge=1)
    """Most bytes of UTF-8."""

    min_words: int | None = option(None, ge=1)
    """Fewest words."""

    max_words: int | None = option(None, ge=1)
    """Most words."""

    min_mean_word_length: float | None = option(None, ge=0)
    """Lowest mean number of characters a word."""

    max_mean_word_length: float | None = option(None, ge=0)
    """Highest mean number of characters a word."""

    max_symbol_ratio: float | None = option(None, ge=0)
    """Most hash signs a word, and most ellipses a word."""

    max_bullet_lines: float | None = option(None, ge=0, le=1)
    """Largest share of lines that begin with a bullet."""

    max_ellipsis_lines: float | None = option(None, ge=0, le=1)
    """Largest share of lines that end with an ellipsis."""

    min_alphabetic_words: float | None = option(None, ge=0, le=1)
    """Smallest share of words that have a letter."""

    min_stop_words: int | None = option(None, ge=1, le=8)
    """Fewest different words of: the, be, to, of, and, that, have, with."""

    max_duplicate_lines: float | None = option(None, ge=0, le=1)
    """Largest share of lines that repeat an earlier one."""

    max_duplicate_line_characters: float | None = option(None, ge=0, le=1)
    """Largest share of the lines' characters that is in such lines."""

    max_duplicate_paragraphs: float | None = option(None, ge=0, le=1)
    """Largest share of paragraphs, which blank lines separate, that repeat an earlier one."""

    max_duplicate_paragraph_characters: float | None = option(None, ge=0, le=1)
    """Largest share of the paragraphs' characters that is in such paragraphs."""

    max_top_ngrams: tuple[float, ...] = option((), ge=0, le=1)
    """Three numbers: the largest share of the words' characters that the most frequent 2-gram, 3-gram
    and 4-gram of words cover; one that occurs once covers nothing."""

    max_repeated_ngrams: tuple[float, ...] = option((), ge=0, le=1)
    """Six numbers: the largest share of the words' characters that is in 5-grams, ... 10-grams of words
    that stood in the document before."""

    def check(self) -> None:
        for name, count in (("max_top_ngrams", 3), ("max_repeated_ngrams", 6)):
            given = len(getattr(self, name))
            if given not in (0, count):
                raise ConfigError(f"{name} must have {count} numbers or none, has {given}.")
        for what in ("bytes", "words", "mean_word_length"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise ConfigError(f"min_{what} ({low}) must be at most max_{what} ({high}).")


NO_FILTERS = build(FilterConfig, {})
"""Drops nothing."""


class CorpusConfig(Config):
    """Source and splits of a corpus."""

    sources: Mapping[str, SourceConfig] = option(variants=SOURCES, absent_means={})
    """Sources by a name of the user's choice; `kind` says which sort a source is of. No source and no
    `files` means the source text of the running Python's standard library."""

    files: tuple[str, ...] = option((), by_content=True)
    """Short for a source of the kind `local`: paths or glob patterns."""

    text_column: str = option("text")
    """The key or column of JSON Lines, CSV and Parquet files in `files` that holds the text."""

    max_document_bytes: int | None = option(8192, ge=256)
    """A .txt or .md file longer than this is cut at blank lines, or else at line ends, into documents
    of at most this many bytes; null keeps every file whole. Nothing else is ever cut."""

    unicode: str = option("none", choices=("none", "NFC", "NFKC"), absent_means="none")
    """The Unicode normal form into which every text is brought first."""

    filters: FilterConfig = option(NO_FILTERS, absent_means=NO_FILTERS)
    """Which documents are dropped. Filters see the normalised text, before deduplication."""

    validation_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `validation`."""

    test_fraction: float = option(0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `test`."""

    shard_bytes: int = option(2**28, ge=1, placement=True)
    """Bytes of text after which a Parquet shard of a split ends and the next begins."""

    def check(self) -> None:
        weights = [source.weight for source in self.sources.values()]
        if None in weights and set(weights) != {None}:
            raise ConfigError("sources must have a weight each, or none of them; some have one.")
        if self.files and set(weights) - {None}:
            raise ConfigError("files takes no weight; make it a source of the kind local beside the others.")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction + test_fraction must be less than 1 to leave documents for "
                f"training, was {self.validation_fraction + self.test_fraction:g}."
            )
