"""The dataset card: what a corpus holds, where it came from, and what was left out and why.

    documents, bytes, characters    of everything, of each split and of each source
    sources                         kind, licence, settings, provenance, fraction of the bytes, and what
                                    the source knows of itself beforehand
    dropped                         documents left out, by reason, in all and for each source

Everything in it is a function of the configuration and of the content that was read: equal corpora
have equal cards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lmexp.core.values.config import identity
from lmexp.corpus.config import SPLITS, CorpusConfig
from lmexp.corpus.sources.sources import all_sources, content_of, source_facts

_COUNTED = ("documents", "bytes", "characters")


class Tally:
    """Counts documents, bytes and characters for each source and split."""

    def __init__(self, sources: Iterable[str], splits: Iterable[str]) -> None:
        self._splits = tuple(splits)
        self._counts = {(name, split): [0, 0, 0] for name in sources for split in self._splits}

    def add(self, source: str, split: str, num_bytes: int, num_characters: int) -> None:
        """Count one document."""
        count = self._counts[source, split]
        count[0] += 1
        count[1] += num_bytes
        count[2] += num_characters

    def of_split(self, split: str) -> dict[str, int]:
        """Return the counts of one split."""
        return self._sum(lambda _source, other: other == split)

    def of_source(self, source: str) -> dict[str, int]:
        """Return the counts of one source."""
        return self._sum(lambda other, _split: other == source)

    def total(self) -> dict[str, int]:
        """Return the counts of the corpus."""
        return self._sum(lambda _source, _split: True)

    def metrics(self) -> dict[str, int]:
        """Return the counts of the corpus, and of each split under ``<split>/``."""
        found = self.total()
        for split in self._splits:
            found |= {f"{split}/{what}": count for what, count in self.of_split(split).items()}
        return found

    def _sum(self, wanted: Callable[[str, str], bool]) -> dict[str, int]:
        counts = [count for key, count in self._counts.items() if wanted(*key)]
        return {what: sum(count[i] for count in counts) for i, what in enumerate(_COUNTED)}


def dataset_card(
    config: CorpusConfig, tally: Tally, content: Mapping[str, str], dropped: Mapping[str, Counter[str]]
) -> dict[str, Any]:
    """Return the card of a corpus.

    `content` is what the plan found to stand for external content: names of files with their sha256,
    or of hub datasets with their commit. `dropped` counts by source and reason.
    """
    total, chosen = tally.total(), identity(config)
    sources: dict[str, Any] = {}
    for name, source in all_sources(config).items():
        settings = {key: value for key, value in identity(source).items() if key != "licence"}
        counts = tally.of_source(name)
        sources[name] = {
            "kind": source.KIND,
            "licence": source.licence,
            **counts,
            "fraction": round(counts["bytes"] / max(1, total["bytes"]), 6),
            **settings,
            **source_facts(source),
            "content": content_of(name, config, content),
            "dropped": dict(sorted(dropped[name].items())),
        }
    return {
        **total,
        "splits": {
            split: {**counts, "fraction": round(counts["bytes"] / max(1, total["bytes"]), 6)}
            for split, counts in ((split, tally.of_split(split)) for split in SPLITS)
        },
        "sources": sources,
        "dropped": dict(sorted(sum(dropped.values(), Counter()).items())),
        "unicode": config.unicode,
        "filters": {key: value for key, value in identity(config.filters).items() if value not in (None, [])},
        "max_document_bytes": config.max_document_bytes,
        **{key: chosen[key] for key in ("document", "on_bad_row", "deduplicate", "strip") if key in chosen},
        "validation_fraction": config.validation_fraction,
        "test_fraction": config.test_fraction,
    }
