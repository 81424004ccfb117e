"""Whether what made a model had read the documents that it is measured on.

Documents are compared by the sha256 of their texts, against each text that a stage of the model's lineage
read, whatever it read it for: weights, a vocabulary, a temperature. What is not known is said so: a model
that something else made, a record that does not say what was read, an ancestor that is no longer there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmexp.corpus.documents import text_hash
from lmexp.evals.audit.finding import Finding, judged


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Texts that a stage of the lineage read."""

    who: str
    """The stages and the split, for people: `ngram (the train split of rows-0123456789ab)`."""
    corpus: Path
    """Directory of the corpus."""
    texts: Iterable[str]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What is known of how a model was made."""

    readings: Sequence[Reading]
    unknown: Sequence[str]
    """Sentences' parts on what is not known; empty where everything is."""


def check_test_split(lineage: Lineage, split: str, texts: Iterable[str]) -> Finding:
    """Return whether any of `texts`, all documents of the `split`, was read by the lineage."""
    held_out = {text_hash(text) for text in texts}
    for reading in lineage.readings:
        seen = held_out & {text_hash(text) for text in reading.texts}
        if seen:
            share = f"{len(seen):,} of {len(held_out):,} documents of the {split} split"
            reason = f"{share} were read by {reading.who}."
            return judged("test_split", float(len(seen)), 0.0, reason)
    if lineage.unknown:
        reason = f"what made the model is not all known: {'; '.join(lineage.unknown[:3])}."
        return Finding(check="test_split", verdict="unknown", figure=None, tolerance=0.0, reason=reason)
    return judged("test_split", 0.0, 0.0, "")
