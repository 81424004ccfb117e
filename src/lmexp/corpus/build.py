"""Builds a corpus: documents cleaned, deduplicated, mixed, split by hash, and written as Parquet.

What happens to a document, in this order:

1. it is brought into the configured Unicode normal form;
2. it is dropped where it is white space alone, or where a filter says so, or where an earlier document
   had the same text (unless `deduplicate` is off); each dropped document is counted by its source and
   the reason;
3. the sources are mixed by the bytes of what is left (`mixing`);
4. it goes to the split that its source names (`into`), or else to one that is a pure function of its
   text: u is the first 8 bytes of its sha256 as a fraction of 2^64, and u < test_fraction is test,
   u < test_fraction + validation_fraction is validation, the rest is train. Adding documents
   therefore never moves another one across splits, and copies of one text lie in the same one.

Identical input gives identical bytes. Memory is bounded by a row group a split and 72 bytes a document.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lmexp.core.values.files import write_json
from lmexp.corpus.card import Tally, dataset_card
from lmexp.corpus.config import SPLITS, CorpusConfig
from lmexp.corpus.dedup import SeenHashes
from lmexp.corpus.documents import Document, hash_fraction
from lmexp.corpus.empty import MAX_FRACTIONS, require_documents
from lmexp.corpus.filters import Filters
from lmexp.corpus.mixing import mix
from lmexp.corpus.shards import ShardWriters
from lmexp.corpus.sources.sources import all_sources, read_sources, source_facts


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
    fractions: list[float] = []
    weights = {name: source.weight for name, source in sources.items()}
    with ShardWriters(out, config.shard_bytes) as writers:
        for name, kept in mix(cleaned, weights, lambda kept: len(kept.data)):
            split = sources[name].into or split_of(kept.digest, config)
            writers.add(split, kept.document, kept.data)
            if sources[name].into is None and len(fractions) < MAX_FRACTIONS:
                fractions.append(hash_fraction(kept.digest))
            tally.add(name, split, len(kept.data), len(kept.document.text))
    counts = {split: tally.of_split(split)["documents"] for split in SPLITS}
    by_hash = sum(tally.of_source(n)["documents"] for n, source in sources.items() if source.into is None)
    require_documents(config, counts, by_hash, fractions, dropped)
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
        self._strip = config.strip
        self._filters = Filters(config.filters)
        self._seen = SeenHashes() if config.deduplicate else None

    def clean(self, documents: Iterator[Document], dropped: Counter[str]) -> Iterator[_Kept]:
        for document in documents:
            if self._form != "none" and not unicodedata.is_normalized(self._form, document.text):  # type: ignore[arg-type]
                text = unicodedata.normalize(self._form, document.text)  # type: ignore[arg-type]
                document = replace(document, text=text)  # noqa: PLW2901
            if self._strip:
                document = replace(document, text=document.text.strip())  # noqa: PLW2901
            if not document.text or document.text.isspace():
                dropped["only whitespace"] += 1
                continue
            data = document.text.encode()
            reason = self._filters.reason(document.text, len(data))
            if reason is not None:
                dropped[reason] += 1
                continue
            digest = hashlib.sha256(data).digest()
            if self._seen is not None and not self._seen.add(digest):
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
