"""Minimal pairs of Python: the same context continued as in the file, and with one small error.

An item is made from a held-out file that a model has not seen. Its context is up to 1,000 characters
of the file before the edited line. Its two choices are that line to the end of its statement (at
most two lines): as it stands, and with one edit of equal length (`lmexp.evals.python_edits`). The
indentation belongs to the choice. Since both choices have the same characters but for the edit,
no normalisation by length decides.

Rules of selection, which look at the file and never at a model: at least 200 characters of context;
at most 200 characters of continuation; one item of a task in a statement; documents in a random
order that depends on the seed, each giving a few items before any gives more. The correct choice
comes first in half of the items.

The method is that of BLiMP (Warstadt et al., arXiv 1912.00582), on code.
"""

import math
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lmexp.errors import DataError
from lmexp.evals.config import TASKS
from lmexp.evals.python_edits import EDITS, Edit
from lmexp.evals.python_files import parse

MIN_CONTEXT_CHARACTERS = 200
MAX_CONTINUATION_CHARACTERS = 200
ITEMS_AT_ONCE = 3
"""Items of one document before the next one is asked, where there are enough documents."""

KINDS_IN_TURN = frozenset(("python_bracket",))
"""Tasks that take their kinds (what is correct: a `)`, a `]`, ...) by turns within a document."""


@dataclass(frozen=True, slots=True)
class Item:
    """A context and two continuations, of which `choices[gold]` is the one in the file."""

    id: str
    context: str
    choices: tuple[str, str]
    gold: int


def make_pairs(
    task: str,
    documents: Sequence[tuple[str, str]],
    limit: int | None,
    seed: int,
    skipped: Counter[str] | None = None,
) -> list[Item]:
    """Return up to `limit` items of `task` (all of them for None) from (id, text) documents.

    A pure function of its arguments. Documents that do not parse are counted in `skipped`.
    Errors: `DataError` where the documents give no item at all.
    """
    rng = random.Random(f"{seed}-{task}")  # noqa: S311 (reproducible, not secret)
    order = list(range(len(documents)))
    rng.shuffle(order)
    counts: Counter[str] = Counter() if skipped is None else skipped
    wanted = sys.maxsize if limit is None else limit
    at_once = max(ITEMS_AT_ONCE, math.ceil(wanted / max(len(documents), 1)))
    sources = [_items(task, *documents[i], seed=seed, skipped=counts) for i in order]
    found: list[tuple[str, str, str, str]] = []
    while sources and len(found) < wanted:
        unfinished = []
        for source in sources:
            taken = list(islice(source, min(at_once, wanted - len(found))))
            found += taken
            if len(taken) == at_once:
                unfinished.append(source)
            if len(found) == wanted:
                break
        sources = unfinished
    if not found:
        raise DataError(
            f"The task {task} found no item in {len(documents)} held-out documents, of which "
            f"{counts.total()} do not parse: its items are made from Python source. Choose other "
            f"prompts.tasks (known: {', '.join(TASKS)}), or a corpus of Python files."
        )
    golds = [i % 2 for i in range(len(found))]
    rng.shuffle(golds)
    return [
        Item(name, context, (wrong, right) if gold else (right, wrong), gold)
        for (name, context, right, wrong), gold in zip(found, golds, strict=True)
    ]


def _items(
    task: str, name: str, text: str, *, seed: int, skipped: Counter[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (id, context, correct, corrupted) of one document in a random order of its own."""
    file = parse(text)
    if file is None:
        skipped["does not parse"] += 1
        return
    rng = random.Random(f"{seed}-{task}-{name}")  # noqa: S311
    edits = _in_turn(list(EDITS[task](file)), text, task, rng)
    lines = file.lines
    del file  # the tree and the tokens are many times the text
    used: set[int] = set()
    for edit in edits:
        logical_end = lines.logical_end_of(edit.start)
        start = lines.start_of(edit.start)
        context = text[lines.context_start(start) : start]
        end = min(logical_end, lines.end_of(lines.end_of(edit.end) + 1))
        fits = len(context) >= MIN_CONTEXT_CHARACTERS and end - start <= MAX_CONTINUATION_CHARACTERS
        if not fits or logical_end in used:
            continue
        used.add(logical_end)
        right = text[start:end]
        wrong = text[start : edit.start] + rng.choice(edit.alternatives) + text[edit.end : end]
        yield f"{name}:{text.count(chr(10), 0, edit.start) + 1}", context, right, wrong


def _in_turn(edits: list[Edit], text: str, task: str, rng: random.Random) -> list[Edit]:
    """Return the edits in random order; of a task with kinds, one of each kind by turns."""
    edits.sort(key=lambda edit: (edit.start, edit.end))
    rng.shuffle(edits)
    if task not in KINDS_IN_TURN:
        return edits
    turns: Counter[str] = Counter()
    keyed: list[tuple[int, int, Edit]] = []
    for edit in edits:
        kind = text[edit.start : edit.end]
        turns[kind] += 1
        keyed.append((turns[kind], len(keyed), edit))
    return [edit for _, _, edit in sorted(keyed, key=lambda entry: entry[:2])]
