"""Builds a corpus: documents deduplicated, split by the hash of their text, written as Parquet.

The split of a document is a pure function of its text: u is the first 8 bytes of its sha256 as a
fraction of 2^64, and u < test_fraction is test, u < test_fraction + validation_fraction is
validation, the rest is train. Adding documents therefore never moves another one across splits,
and two copies of one text can never lie on both sides.

Identical input gives identical bytes. Memory is bounded by a row group a split and 72 bytes a document.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lmexp.core.config import identity
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.dedup import SeenHashes
from lmexp.corpus.documents import hash_fraction
from lmexp.corpus.shards import SPLITS, ShardWriters
from lmexp.corpus.sources import all_sources, read_documents, source_facts
from lmexp.errors import DataError


def build_corpus(
    config: CorpusConfig, out: Path, *, cache: Path, content: Mapping[str, str]
) -> dict[str, float | int]:
    """Write the shards of each split and card.json into `out`.

    `cache` and `content` are those of `read_documents`.

    Documents keep the order of their sources. Of identical texts the first is kept.
    Returns counts: `documents`, `bytes` (UTF-8), `characters`, the same for each split as
    ``train/documents`` and so on, ``dropped/<reason>`` and ``<source>/<fact>``.
    Errors: `DataError` where there is no document, or a split has none.
    """
    dropped: Counter[str] = Counter()
    seen = SeenHashes()
    counts = {split: Counter(documents=0, bytes=0, characters=0) for split in SPLITS}
    with ShardWriters(out, config.shard_bytes) as writers:
        for document in read_documents(config, cache=cache, content=content, dropped=dropped):
            data = document.text.encode()
            digest = hashlib.sha256(data).digest()
            if not seen.add(digest):
                dropped["duplicate"] += 1
                continue
            split = split_of(digest, config)
            writers.add(split, document, data)
            count = counts[split]
            count["documents"] += 1
            count["bytes"] += len(data)
            count["characters"] += len(document.text)
    _check_counts(config, {split: count["documents"] for split, count in counts.items()})
    totals = sum(counts.values(), Counter())
    facts = {name: source_facts(source) for name, source in all_sources(config).items()}
    card = {
        "sources": {
            name: {"kind": source.KIND, **identity(source), **facts[name]}
            for name, source in all_sources(config).items()
        },
        "content": dict(content),
        **totals,
        "splits": {split: dict(count) for split, count in counts.items()},
        "dropped": dict(sorted(dropped.items())),
    }
    (out / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    metrics: dict[str, float | int] = dict(totals)
    for split, count in counts.items():
        metrics.update({f"{split}/{name}": value for name, value in count.items()})
    metrics.update({f"dropped/{reason}": n for reason, n in sorted(dropped.items())})
    metrics.update({f"{name}/{fact}": value for name, own in facts.items() for fact, value in own.items()})
    return metrics


def split_of(digest: bytes, config: CorpusConfig) -> str:
    """Return the split of the document whose text has the sha256 `digest`."""
    fraction = hash_fraction(digest)
    if fraction < config.test_fraction:
        return "test"
    if fraction < config.test_fraction + config.validation_fraction:
        return "validation"
    return "train"


def _check_counts(config: CorpusConfig, documents: dict[str, int]) -> None:
    total = sum(documents.values())
    if total == 0:
        names = ", ".join(all_sources(config))
        raise DataError(f"The corpus is empty: its sources ({names}) hold no text besides whitespace.")
    empty = [split for split in SPLITS if documents[split] == 0]
    if empty:
        split = empty[0]
        share = (
            "lower corpus.test_fraction and corpus.validation_fraction"
            if split == "train"
            else f"raise corpus.{split}_fraction (now {getattr(config, f'{split}_fraction'):g})"
        )
        cut = f" (now {config.max_document_bytes})" if config.max_document_bytes is not None else ""
        raise DataError(
            f"The {split} split is empty: the corpus has {total} document{'s' * (total != 1)}, split by the "
            f"hash of their text; {share}, lower corpus.max_document_bytes{cut}, or add documents."
        )
