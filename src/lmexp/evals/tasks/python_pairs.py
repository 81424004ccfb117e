"""Minimal pairs of Python: the same context continued as in the file, and with one small error.

An item is made from a held-out file that a model has not seen. Its context is up to 1,000 characters
of the file before the edited line. Its two choices are that line to the end of its statement (at
most two lines): as it stands, and with one edit of equal length (`lmexp.evals.tasks.python_edits`). The
indentation belongs to the choice. Since both choices have the same characters but for the edit,
no normalisation by length decides.

Rules of selection, which look at the file and never at a model: at least 200 characters of context;
at most 200 characters of continuation; one item of a task in a statement; documents in a random
order that depends on the seed, each giving a few items before any gives more. Each kind of closing
bracket is correct equally often as far as the files go, so that the frequency of ")" answers
nothing. The correct choice comes first in half of the items.

The method is that of BLiMP (Warstadt et al., arXiv 1912.00582), on code.
"""

import bisect
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from lmexp.evals.tasks.items import Item
from lmexp.evals.tasks.python_edits import EDITS
from lmexp.evals.tasks.python_files import parse

MIN_CONTEXT_CHARACTERS = 200
MAX_CONTINUATION_CHARACTERS = 200
ITEMS_AT_ONCE = 3
"""Items of one document before the next one is asked, where there are enough documents."""

BALANCED_KINDS = {"python_bracket": ("}", "]", ")")}
"""Tasks whose items are shared out evenly over what is correct, the rarest kind first."""

_Found = tuple[str, str, str, str]  # id, context, correct, corrupted


def make_pairs(
    task: str,
    documents: Sequence[tuple[str, str]],
    limit: int | None,
    seed: int,
    skipped: Counter[str] | None = None,
) -> list[Item]:
    """Return up to `limit` items of `task` (all of them for None) from (id, text) documents.

    A pure function of its arguments. Documents that do not parse are counted in `skipped`; text that is no
    Python gives no items.
    """
    rng = random.Random(f"{seed}-{task}")  # noqa: S311 (reproducible, not secret)
    order = list(range(len(documents)))
    rng.shuffle(order)
    shuffled = [documents[i] for i in order]
    counts: Counter[str] = Counter()
    found: list[_Found] = []
    used: set[tuple[str, int]] = set()
    kinds: tuple[str | None, ...] = BALANCED_KINDS.get(task, (None,))
    for i, kind in enumerate(kinds):
        counts.clear()
        share = sys.maxsize if limit is None else (limit - len(found)) // (len(kinds) - i)
        sources = [
            _items(task, kind, *document, seed=seed, used=used, skipped=counts) for document in shuffled
        ]
        found += _spread(sources, share)
    if skipped is not None:
        skipped.update(counts)
    golds = [i % 2 for i in range(len(found))]
    rng.shuffle(golds)
    return [
        Item(name, context, (wrong, right) if gold else (right, wrong), gold)
        for (name, context, right, wrong), gold in zip(found, golds, strict=True)
    ]


def _spread(sources: list[Iterator[_Found]], limit: int) -> list[_Found]:
    """Take up to `limit` items, a few of each source before any gives more."""
    at_once = max(ITEMS_AT_ONCE, math.ceil(limit / max(len(sources), 1)))
    found: list[_Found] = []
    while sources and len(found) < limit:
        unfinished = []
        for source in sources:
            taken = list(islice(source, min(at_once, limit - len(found))))
            found += taken
            if len(taken) == at_once:
                unfinished.append(source)
            if len(found) == limit:
                break
        sources = unfinished
    return found


def _items(
    task: str,
    kind: str | None,
    name: str,
    text: str,
    *,
    seed: int,
    used: set[tuple[str, int]],
    skipped: Counter[str],
) -> Iterator[_Found]:
    """Yield the items of one document in a random order of its own, from statements not yet `used`."""
    file = parse(text)
    if file is None:
        skipped["does not parse"] += 1
        return
    edits = [edit for edit in EDITS[task](file) if kind is None or text[edit.start : edit.end] == kind]
    edits.sort(key=lambda edit: (edit.start, edit.end))
    rng = random.Random(f"{seed}-{task}-{name}")  # noqa: S311
    rng.shuffle(edits)
    lines = file.lines
    del file  # the tree and the tokens are many times the text
    for edit in edits:
        start, logical_end = lines.start_of(edit.start), lines.logical_end_of(edit.start)
        context = text[lines.context_start(start) : start]
        end = min(logical_end, lines.end_of(lines.end_of(edit.end) + 1))
        fits = len(context) >= MIN_CONTEXT_CHARACTERS and end - start <= MAX_CONTINUATION_CHARACTERS
        if not fits or (name, logical_end) in used:
            continue
        used.add((name, logical_end))
        right = text[start:end]
        wrong = text[start : edit.start] + rng.choice(edit.alternatives) + text[edit.end : end]
        line = bisect.bisect_right(lines.starts, edit.start)
        yield f"{name}:{line}", context, right, wrong
