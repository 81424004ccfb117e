"""What the corpora of a run hold, and how many documents were left out for which reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from lmexp.analysis.drawing.markup import Html, join, table
from lmexp.core.values.numbers import number

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Corpus:
    """Counts of one corpus stage."""

    name: str
    """Of the stage's handle."""
    documents: Mapping[str, int]
    """By split."""
    dropped: Mapping[str, int]
    """By reason, the most frequent first."""

    def words(self) -> str:
        """Return what was dropped as the end of a line; 'nothing' where all was kept."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items()) or "nothing"


def corpora(metrics: Mapping[str, float]) -> list[Corpus]:
    """Return the corpora whose counts are among a run's metrics."""
    names = [key.removesuffix("/train/documents") for key in metrics if key.endswith("/train/documents")]
    return [_corpus(name, metrics) for name in names]


def corpus_section(metrics: Mapping[str, float]) -> Html:
    """Return a table for each corpus: documents by split, and what was dropped by reason."""
    found = []
    for corpus in corpora(metrics):
        rows = [(f"{split} documents", number(count)) for split, count in corpus.documents.items()]
        rows += [(f"dropped: {reason}", number(count)) for reason, count in corpus.dropped.items()]
        if not corpus.dropped:
            rows.append(("dropped", "0"))
        found.append(table((corpus.name, "count"), rows, caption=f"{corpus.name}: documents", numeric=(1,)))
    return join(found) if found else Html("")


def _corpus(name: str, metrics: Mapping[str, float]) -> Corpus:
    head = f"{name}/dropped/"
    lost = {key.removeprefix(head): int(value) for key, value in metrics.items() if key.startswith(head)}
    return Corpus(
        name=name,
        documents={split: int(metrics.get(f"{name}/{split}/documents", 0)) for split in _SPLITS},
        dropped=dict(sorted(lost.items(), key=lambda item: (-item[1], item[0]))),
    )
