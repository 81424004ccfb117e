"""Builds a corpus: documents cleaned, deduplicated, mixed, split by hash, and written as Parquet.

What happens to a document, in this order:

1. it is brought into the configured Unicode normal form;
2. it is dropped where it is white space alone, or where a filter says so, or where an earlier document
   had the same text; each dropped document is counted by its source and the reason;
3. the sources are mixed by the bytes of what is left (`mixing`);
4. it goes to the split that its source names (`into`), or else to one that is a pure function of its
   text: u is the first 8 bytes of its sha256 as a fraction of 2^64, and u < test_fraction is test,
   u < test_fraction + validation_fraction is validation, the rest is train. Adding documents
   therefore never moves another one across splits, and no two copies of one text are kept.

Identical input gives identical bytes. Memory is bounded by a row group a split and 72 bytes a document.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmexp.core.files import write_json
from lmexp.corpus.card import Tally, dataset_card
from lmexp.corpus.config import NO_FILTERS, CorpusConfig
from lmexp.corpus.dedup import SeenHashes
from lmexp.corpus.documents import Document, hash_fraction
from lmexp.corpus.filters import Filters
from lmexp.corpus.mixing import mix
from lmexp.corpus.shards import SPLITS, ShardWriters
from lmexp.corpus.sources import all_sources, read_sources, source_facts
from lmexp.errors import DataError


def build_corpus(
    config: CorpusConfig, out: Path, *, cache: Path, content: Mapping[str, str]
) -> dict[str, float | int]:
    """Write the shards of each split and card.json into `out`.

    `cache` and `content` are those of `read_sources`.
    Returns counts: `documents`, `bytes` (UTF-8), `characters`, the same for each split as
    ``train/documents`` and so on, ``dropped/<reason>`` and ``<source>/<fact>``.
    Errors: `DataError` where there is no document, or a split has none.
    """
    sources = all_sources(config)
    dropped: dict[str, Counter[str]] = {name: Counter() for name in sources}
    tally = Tally(sources, SPLITS)
    cleaner = _Cleaner(config)
    cleaned = {
        name: cleaner.clean(documents, dropped[name])
        for name, documents in read_sources(config, cache=cache, content=content, dropped=dropped).items()
    }
    weights = {name: source.weight for name, source in sources.items()}
    with ShardWriters(out, config.shard_bytes) as writers:
        for name, kept in mix(cleaned, weights, lambda kept: len(kept.data)):
            split = sources[name].into or split_of(kept.digest, config)
            writers.add(split, kept.document, kept.data)
            tally.add(name, split, len(kept.data), len(kept.document.text))
    _check_counts(config, {split: tally.of_split(split)["documents"] for split in SPLITS}, dropped)
    write_json(out / "card.json", dataset_card(config, tally, content, dropped))
    reasons = sum(dropped.values(), Counter())
    facts = {name: source_facts(source) for name, source in sources.items()}
    return {
        **tally.metrics(),
        **{f"dropped/{reason}": n for reason, n in sorted(reasons.items())},
        **{f"{name}/{fact}": value for name, own in facts.items() for fact, value in own.items()},
    }


@dataclass(frozen=True, slots=True)
class _Kept:
    document: Document
    data: bytes
    """The text in UTF-8."""
    digest: bytes
    """The sha256 of `data`."""


class _Cleaner:
    """Normalises, filters and deduplicates the documents of all sources of one corpus."""

    def __init__(self, config: CorpusConfig) -> None:
        self._form = config.unicode
        self._filters = Filters(config.filters)
        self._seen = SeenHashes()

    def clean(self, documents: Iterator[Document], dropped: Counter[str]) -> Iterator[_Kept]:
        for document in documents:
            if self._form != "none" and not unicodedata.is_normalized(self._form, document.text):  # type: ignore[arg-type]
                text = unicodedata.normalize(self._form, document.text)  # type: ignore[arg-type]
                document = replace(document, text=text)  # noqa: PLW2901
            if not document.text or document.text.isspace():
                dropped["only whitespace"] += 1
                continue
            data = document.text.encode()
            reason = self._filters.reason(document.text, len(data))
            if reason is not None:
                dropped[reason] += 1
                continue
            digest = hashlib.sha256(data).digest()
            if not self._seen.add(digest):
                dropped["duplicate"] += 1
                continue
            yield _Kept(document, data, digest)


def split_of(digest: bytes, config: CorpusConfig) -> str:
    """Return the split of the document whose text has the sha256 `digest`."""
    fraction = hash_fraction(digest)
    if fraction < config.test_fraction:
        return "test"
    if fraction < config.test_fraction + config.validation_fraction:
        return "validation"
    return "train"


def _check_counts(
    config: CorpusConfig, documents: Mapping[str, int], dropped: Mapping[str, Counter[str]]
) -> None:
    total = sum(documents.values())
    if total == 0:
        names = ", ".join(all_sources(config))
        raise DataError(
            f"The corpus is empty: its sources ({names}) hold no text besides whitespace"
            f"{' that its filters keep' if config.filters != NO_FILTERS else ''}."
        )
    empty = [split for split in SPLITS if documents[split] == 0]
    if empty:
        raise DataError(f"The {empty[0]} split is empty: {_why_empty(empty[0], config, total, dropped)}.")


def _why_empty(split: str, config: CorpusConfig, total: int, dropped: Mapping[str, Counter[str]]) -> str:
    """Return what became of the documents that the split should have, and what to do."""
    sources = all_sources(config)
    own = [name for name, source in sources.items() if source.into == split]
    if own:
        return _what_was_lost(own, config, sum((dropped[name] for name in own), Counter()))
    if all(source.into for source in sources.values()):
        return (
            f"every source goes to another one; add a source with into: {split}, or leave out the into of "
            f"one, so that the hash of each of its texts decides"
        )
    share = (
        "lower corpus.test_fraction and corpus.validation_fraction"
        if split == "train"
        else f"raise corpus.{split}_fraction (now {getattr(config, f'{split}_fraction'):g})"
    )
    cut = f" (now {config.max_document_bytes})" if config.max_document_bytes is not None else ""
    return (
        f"the corpus has {total} document{'s' * (total != 1)}, split by the hash of their text; {share}, "
        f"lower corpus.max_document_bytes{cut}, or add documents"
    )


def _what_was_lost(own: Sequence[str], config: CorpusConfig, lost: Counter[str]) -> str:
    """Return why nothing is left of the sources `own`, of which `lost` was dropped, and what to do."""
    keys = " and ".join(f"corpus.sources.{name}" for name in own)
    if not lost:
        return f"no document was read from {keys}; give it documents, or a larger weight where it has one"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
    what = f"all that was read from {keys} was dropped ({reasons})"
    if "duplicate" in lost:
        names = list(all_sources(config))
        weighted = config.sources[own[0]].weight is not None
        others = [n for n in (names if weighted else names[: names.index(own[0])]) if n not in own]
        what += f", where a duplicate equals a document of {' or '.join(map(repr, others))}"
    loosen = ", or loosen corpus.filters" if config.filters != NO_FILTERS else ""
    return f"{what}; give it other documents{loosen}"
