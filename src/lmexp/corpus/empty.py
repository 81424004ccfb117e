"""Why a corpus, or a split of it, has no document, and what to do: one sentence each."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from lmexp.corpus.config import FORMATS, SPLITS, CorpusConfig, HttpSource, LocalSource, SourceConfig
from lmexp.corpus.filter_config import NO_FILTERS
from lmexp.corpus.formats.streams import split_suffix
from lmexp.corpus.sources.sources import all_sources
from lmexp.errors import DataError

MAX_FRACTIONS = 1000
"""Of how many documents the positions are looked at to find fractions that leave no split empty."""
_FORMATS_OF_ROWS = {*FORMATS} - {"txt", "md"}
_MARGIN = 1e-12
"""What the sum of two fractions may lie beside the decimal that was meant."""


def require_documents(
    config: CorpusConfig,
    documents: Mapping[str, int],
    by_hash: int,
    fractions: Sequence[float],
    dropped: Mapping[str, Counter[str]],
) -> None:
    """Raise `DataError` where there is no document, or a split has none.

    `documents` counts them by split; `by_hash` are those whose split their hash decides, and `fractions` are
    where the hashes of the first of these lie in [0, 1]. `dropped` counts by source and reason.
    """
    if not any(documents.values()):
        names = ", ".join(all_sources(config))
        lost = sum(dropped.values(), Counter())
        raise DataError(
            f"The corpus is empty: its sources ({names}) hold no text besides whitespace"
            f"{' that its filters keep' if config.filters != NO_FILTERS else ''}"
            f"{f'; dropped were {_counts(lost)}' if lost else ''}."
        )
    empty = next((split for split in SPLITS if documents[split] == 0), None)
    if empty is not None:
        raise DataError(f"The {empty} split is empty: {_why(empty, config, by_hash, fractions, dropped)}.")


def fractions_that_fill(fractions: Sequence[float]) -> tuple[float, float] | None:
    """Return (test, validation) fractions, short decimals, with which no split of documents is empty.

    About a tenth of the documents goes to each of the two. None for fewer than three documents.
    """
    ordered = sorted(fractions)
    each = max(1, round(len(ordered) / 10))
    if len(ordered) < 2 * each + 1:
        return None
    test = _short_between(ordered[each - 1], ordered[each])
    both = _short_between(ordered[2 * each - 1], ordered[2 * each])
    if test is None or both is None:
        return None
    return test, round(both - test, 9)


def _short_between(low: float, high: float) -> float | None:
    """Return the decimal with the fewest digits between two numbers, none of which it may round to."""
    for digits in range(1, 10):
        value = float((math.floor(low * 10**digits) + 1) / 10**digits)
        if low + _MARGIN < value < high - _MARGIN:
            return value
    return None


def _why(
    split: str,
    config: CorpusConfig,
    by_hash: int,
    fractions: Sequence[float],
    dropped: Mapping[str, Counter[str]],
) -> str:
    """Return what became of the documents that the split should have, and what to do."""
    sources = all_sources(config)
    own = [name for name, source in sources.items() if source.into == split]
    if own:
        return _what_was_lost(own, config, sum((dropped[name] for name in own), Counter()))
    named = {source.into for source in sources.values() if source.into is not None}
    if all(source.into for source in sources.values()):
        return (
            f"every source goes to another one; add a source with into: {split}, or leave out the into of "
            f"one, so that the hash of each of its texts decides"
        )
    where = "the sources without into have" if named else "the corpus has"
    documents = f"{where} {by_hash} document{'s' * (by_hash != 1)}, split by the hash of their text"
    needed = len(SPLITS) - len(named)
    remedies = [_other_fractions(split, by_hash, needed, fractions), *_more_documents(config)]
    return (
        f"{documents} ({config.test_fraction:g} of them test, {config.validation_fraction:g} validation); "
        + (", ".join(remedies) + ", or add documents")
    )


def _other_fractions(split: str, by_hash: int, needed: int, fractions: Sequence[float]) -> str:
    filling = fractions_that_fill(fractions) if len(fractions) == by_hash else None
    if filling is not None:
        test, validation = filling
        return f"corpus.test_fraction={test:.9g} corpus.validation_fraction={validation:.9g} leave none empty"
    if by_hash < needed:
        return f"at least {needed} are needed"
    if split == "train":
        return "lower corpus.test_fraction and corpus.validation_fraction"
    return f"raise corpus.{split}_fraction"


def _more_documents(config: CorpusConfig) -> list[str]:
    """Return how the text files of a corpus become more documents."""
    if config.document != "file" or not any(map(_may_be_text, all_sources(config).values())):
        return []
    found = ["make each line or paragraph of text files a document with corpus.document=line or paragraph"]
    if config.max_document_bytes is not None:
        found.append(f"cut them smaller by corpus.max_document_bytes (now {config.max_document_bytes})")
    return found


def _may_be_text(source: SourceConfig) -> bool:
    """Return whether a source may read text files, by the names of its files: rows hold documents already."""
    if not isinstance(source, LocalSource | HttpSource):
        return False
    names = source.files if isinstance(source, LocalSource) else source.urls
    formats = {source.format or split_suffix(name)[0].removeprefix(".") for name in names}
    return not formats <= _FORMATS_OF_ROWS


def _what_was_lost(own: Sequence[str], config: CorpusConfig, lost: Counter[str]) -> str:
    """Return why nothing is left of the sources `own`, of which `lost` was dropped, and what to do."""
    keys = " and ".join(f"corpus.sources.{name}" for name in own)
    if not lost:
        return f"no document was read from {keys}; give it documents, or a larger weight where it has one"
    what = f"all that was read from {keys} was dropped ({_counts(lost)})"
    if "duplicate" in lost:
        names = list(all_sources(config))
        weighted = config.sources[own[0]].weight is not None
        others = [n for n in (names if weighted else names[: names.index(own[0])]) if n not in own]
        what += f", where a duplicate equals a document of {' or '.join(map(repr, others))}"
    loosen = ", or loosen corpus.filters" if config.filters != NO_FILTERS else ""
    return f"{what}; give it other documents{loosen}"


def _counts(lost: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
