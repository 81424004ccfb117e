"""What a corpus is made of and how it is split."""

import os
import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf
from lmexp.core.values.redact import redact
from lmexp.corpus.filter_config import NO_FILTERS, FilterConfig
from lmexp.errors import ConfigError
from lmexp.known.config import ProcessConfig

FORMATS = ("txt", "md", "jsonl", "json", "csv", "parquet")
"""The formats of files, each also a suffix."""

SPLITS = ("train", "validation", "test")
"""The splits of every corpus."""

_NOT_PATTERNS = {
    "path": "name the files with `files`, as in files=[notes.txt]",
    "paths": "name the files with `files`, as in files=[notes.txt]",
    "file": "name the files with `files`, as in files=[notes.txt]",
    "data_files": "name the files with `files`, as in files=[notes.txt]",
    "data_dir": "name the files with `files`, as in files=[notes/*.txt]",
    "split": "files are one text each; the key `into` of a source says which split it goes to",
}
"""Other tools' words for the files of a source, each with ours."""

_NOT_COLUMN = dict.fromkeys(
    ("text_key", "text_field", "text_column"),
    "the key or column that holds the text is `column` of a source",
)
"""Other tools' words for the key `column` of a source."""


class SourceConfig(Config):
    """What every source of documents has."""

    KIND: ClassVar[str]

    weight: float | None = option(default=None, gt=0, absent_means=None)
    """Share of the corpus, relative to the weights of the other sources: their documents alternate so
    that their bytes stand in this proportion throughout, until one source is used up. Where no
    source has a weight they follow each other, whole."""

    limit: int | None = option(default=None, ge=1, absent_means=None)
    """Most documents that are read from the source."""

    into: str | None = option(default=None, choices=SPLITS, absent_means=None)
    """The split that every document of the source goes to; null goes by the hash of each."""

    licence: str | None = option(default=None, absent_means=None)
    """The licence of the text, for the dataset card."""


class PythonStdlibSource(SourceConfig):
    """The source text of the running Python's standard library."""

    KIND: ClassVar[str] = "python_stdlib"


def _check_patterns(files: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a name that no record can hold."""
    for pattern in files:
        if not pattern:
            raise ConfigError("files holds an empty name; give paths or patterns like notes/*.txt.")
        try:
            pattern.encode()
        except UnicodeEncodeError:
            readable = os.fsencode(pattern).decode("utf-8", "backslashreplace")
            raise ConfigError(
                f"files holds a name that is not UTF-8 ({readable}); name it by a pattern, with ? for what "
                f"is not."
            ) from None


class LocalSource(SourceConfig):
    """Files on this machine: .txt, .md, .jsonl, .json, .csv (these also .gz, .bz2, .xz or .zst), .parquet."""

    KIND: ClassVar[str] = "local"
    refused: ClassVar[Mapping[str, str]] = {**_NOT_PATTERNS, **_NOT_COLUMN}

    files: tuple[str, ...] = option(by_content=True)
    """Paths or glob patterns, `**` for any folders. A name that exists wins over what it matches."""

    column: str = option(default="text")
    """The key of a JSON object, or the column of a CSV or Parquet file, that holds the text; dots lead into
    nested ones (``answers.text``), and each element of a list is a text of its own."""

    format: str | None = option(default=None, choices=FORMATS, absent_means=None)
    """The format of all the files, where their suffixes do not say it."""

    def check(self) -> None:
        _check_patterns(self.files)


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
    refused: ClassVar[Mapping[str, str]] = {
        "url": "give `urls`, a list, and the sha256 of each",
        "files": "give `urls`, a list, and the sha256 of each",
        "checksum": "give `sha256`, a list with one for each of the `urls`",
        **_NOT_COLUMN,
    }

    urls: tuple[str, ...] = option()
    """Where the files are: http or https, without a password."""

    sha256: tuple[str, ...] = option()
    """The sha256 of each of them, 64 hexadecimal digits."""

    members: tuple[str, ...] = option(default=(), absent_means=())
    """Patterns of the names of an archive's members, in which `*` matches slashes too. None means
    every member of a known format."""

    column: str = option(default="text")
    """The key or column that holds the text, as of local files."""

    format: str | None = option(default=None, choices=FORMATS, absent_means=None)
    """The format of all the files, or members, where their suffixes do not say it."""

    max_bytes: int = option(default=2**36, ge=1, placement=True)
    """Most bytes that all of the urls may have together; more is refused."""

    max_unpacked_bytes: int = option(default=2**36, ge=1, placement=True)
    """Most bytes that a compressed file, or an archive with all that its members unpack to, may unpack to;
    more is refused."""

    retries: int = option(default=5, ge=0, placement=True)
    """How often in a row an attempt may fail without getting further, each after twice the wait."""

    timeout_s: float = option(default=30.0, gt=0, placement=True)
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
    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("path", "dataset", "dataset_name", "repo_id"), "the dataset is `name`, like owner/name"
        ),
        **dict.fromkeys(("config", "config_name", "dataset_config"), "the configuration is `subset`"),
        **_NOT_COLUMN,
    }

    name: str = option()
    """The dataset: ``owner/name``."""

    subset: str | None = option(default=None)
    """Which of its configurations; null is its default one."""

    split: str = option(default="train")
    """The split that is read. Which documents become validation and test is up to their hashes."""

    column: str = option(default="text")
    """The column that holds the text."""

    revision: str = option(default="main", placement=True)
    """A branch, a tag or a commit. The commit that it stands for when the corpus is first planned, and
    that the store then remembers, is what identifies the data."""

    streaming: bool = option(default=False, placement=True)
    """Read the rows as they arrive instead of downloading the whole split first; for a `limit`."""

    max_bytes: int = option(default=2**36, ge=1, placement=True)
    """Most bytes that the dataset's files may have where they are downloaded, all splits of the subset
    together; more is refused."""

    document_start: str | None = option(default=None, absent_means=None)
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

    num_documents: int = option(default=4000, ge=1, le=100_000_000)
    """Documents drawn."""

    num_lines: int = option(default=16, ge=1, le=100_000)
    """Lines of each document."""


class PrimerSource(SourceConfig):
    """Generated text in which tasks are taught by example; each share is relative to the others."""

    KIND: ClassVar[str] = "primer"

    seed: int = option(default=0, ge=0, le=2**63 - 1)
    """Seeds every document."""

    num_documents: int = option(default=20_000, ge=1, le=100_000_000)
    """Documents generated."""

    operator: float = option(default=2.0, ge=0)
    """Share of documents about a made-up operator on two numbers."""

    translation: float = option(default=1.0, ge=0)
    """Share of tables of words and their translations."""

    copy: float = option(default=1.0, ge=0)
    """Share of documents that copy words in some order."""

    sort: float = option(default=1.0, ge=0)
    """Share of documents that sort numbers."""

    question: float = option(default=1.0, ge=0)
    """Share of documents of facts, questions and answers."""

    story: float = option(default=0.5, ge=0)
    """Share of stories."""

    @property
    def shares(self) -> dict[str, float]:
        """The shares by what the documents hold."""
        return {name: getattr(self, name) for name in _PRIMER_SHARES}

    def check(self) -> None:
        if not any(self.shares.values()):
            raise ConfigError(f"at least one of {', '.join(_PRIMER_SHARES)} must be above 0.")


_PRIMER_SHARES = ("operator", "translation", "copy", "sort", "question", "story")

SOURCES = OneOf(
    key="kind",
    kinds={
        cls.KIND: cls
        for cls in (PythonStdlibSource, LocalSource, HttpSource, HubSource, KnownSource, PrimerSource)
    },
)
"""The kinds of sources."""


class CorpusConfig(Config):
    """Source and splits of a corpus."""

    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("path", "paths", "file", "data_files", "data_dir"),
            "name files with corpus.files, as in corpus.files=[notes.txt] or corpus.files=[notes/*.md]",
        ),
        **dict.fromkeys(
            ("dataset", "dataset_name", "name", "repo_id", "hf_dataset"),
            "a dataset of the hub is a source, as in +corpus.sources.hub.name=owner/name",
        ),
        **dict.fromkeys(
            ("url", "urls"), "a file from the web is a source of the kind http; see docs/corpora.md"
        ),
        **dict.fromkeys(
            ("column", "text_key", "text_field"),
            "the key or column that holds the text is corpus.text_column",
        ),
        **dict.fromkeys(
            ("split", "splits"),
            "splits are corpus.validation_fraction and corpus.test_fraction of the documents, or the key "
            "`into` of each source",
        ),
        "val_fraction": "the share for validation is corpus.validation_fraction",
        **dict.fromkeys(
            ("dedup", "dedupe", "deduplication"), "equal texts are kept or dropped by corpus.deduplicate"
        ),
    }

    sources: Mapping[str, SourceConfig] = option(default={}, each_of=SOURCES, absent_means={})
    """Sources by a name of the user's choice; `kind` says which sort a source is of. No source and no
    `files` means the source text of the running Python's standard library."""

    files: tuple[str, ...] = option(default=(), by_content=True)
    """Short for a source of the kind `local`: paths or glob patterns."""

    text_column: str = option(default="text")
    """The key or column of JSON, CSV and Parquet files in `files` that holds the text; dots lead into nested
    ones (``answers.text``), and each element of a list is a text of its own."""

    document: str = option(default="file", choices=("file", "line", "paragraph"), absent_means="file")
    """What of a .txt or .md file is a document: the whole `file`, cut where it is long; each `line` that is
    not blank, as in a list of names; each `paragraph`, which blank lines separate."""

    max_document_bytes: int | None = option(default=8192, ge=256)
    """A .txt or .md file longer than this is cut at blank lines, or else at line ends, into documents
    of at most this many bytes; null keeps every file whole. Nothing else is ever cut."""

    on_bad_row: str = option(default="fail", choices=("fail", "drop"), absent_means="fail")
    """What happens at a row or a file that holds no text (null, a number, half a line, not UTF-8, a file
    of an unknown format): `fail` names it; `drop` leaves it out and counts it by its reason."""

    deduplicate: bool = option(default=True, absent_means=True)
    """Whether of equal texts only the first is kept; false keeps all, also across the splits that `into`
    names."""

    unicode: str = option(default="none", choices=("none", "NFC", "NFKC"), absent_means="none")
    """The Unicode normal form into which every text is brought first."""

    strip: bool = option(default=False, absent_means=False)
    """Whether white space at both ends of every text is taken off, before anything looks at it: the lines of
    WikiText and of the Penn Treebank begin and end with a space, which is no word."""

    filters: FilterConfig = option(default=NO_FILTERS, absent_means=NO_FILTERS)
    """Which documents are dropped. Filters see the normalised text, before deduplication."""

    validation_fraction: float = option(default=0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `validation`."""

    test_fraction: float = option(default=0.05, gt=0, lt=1)
    """Share of documents, chosen by the hash of their text, that becomes `test`."""

    shard_bytes: int = option(default=2**28, ge=1, placement=True)
    """Bytes of text after which a Parquet shard of a split ends and the next begins."""

    def check(self) -> None:
        _check_patterns(self.files)
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
