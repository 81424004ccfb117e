"""Whether a score depends on what comes later, on another document, or on what shares its pass.

Each question is one score asked twice, with something changed that must not matter:

    later tokens      the text is cut at a place, or goes on in another way from there: scores before it stay
    other documents   a document is scored alone, after others, in reverse order, twice, among others
    batches           passes hold one, three or as many sequences as fit, in another order, and groups

A cut shows a peek at any distance; a changed place shows one that a cut would hide, as of a model that asks
whether there is a next token. What differs by rounding is no leak: `Subject.nats`.
"""

import numpy as np
from numpy.typing import NDArray

from lmexp.evals.audit.finding import Finding, difference, judged
from lmexp.evals.audit.subject import Subject
from lmexp.models.interface import Pair

_CUTS = 4
"""Places in each piece behind which the text is cut and changed."""

Scores = list[NDArray[np.float64]]


def check_later_tokens(subject: Subject) -> Finding:
    """Return whether the scores before a place stay, whatever stands behind it."""
    rng = subject.rng("later_tokens")
    worst, place = 0.0, ""
    for piece in subject.pieces:
        if len(piece) < 2:
            continue
        places = rng.choice(np.arange(1, len(piece)), min(_CUTS, len(piece) - 1), replace=False)
        (whole,) = subject.ask([((), piece)])
        for at in sorted(int(p) for p in places):
            others = rng.integers(0, subject.vocab_size, len(piece) - at).tolist()
            for what, changed in (("cut", piece[:at]), ("changed", [*piece[:at], *others])):
                (scores,) = subject.ask([((), changed)])
                apart = difference(scores[:at], whole[:at])
                if apart > worst:
                    worst, place = apart, f"where a text is {what} behind its token {at}"
    reason = (
        f"{place}, scores of the tokens before it change by up to {worst:.3g} nats: a later token is seen."
    )
    return judged("later_tokens", worst, subject.nats, reason)


def check_other_documents(subject: Subject) -> Finding:
    """Return whether a document scores the same alone, again, after others and in one call with them."""
    pairs: list[Pair] = [((), piece) for piece in subject.pieces]
    alone = [subject.ask([pair], 1)[0] for pair in pairs]
    kept = subject.scorer_of(1)
    in_order = [kept.score([pair])[0] for pair in pairs]
    backwards = [kept.score([pair])[0] for pair in reversed(pairs)][::-1]
    again = [kept.score([pair])[0] for pair in pairs]
    together = subject.ask(pairs, 1)
    asked = {
        "after the documents before it": in_order,
        "in reverse order": backwards,
        "a third time": again,
        "in one call with the others": together,
    }
    return _judged_by_way("other_documents", subject, alone, asked, "it knows of other documents")


def check_batches(subject: Subject) -> Finding:
    """Return whether a document scores the same in passes of one, three and as many as fit, shuffled."""
    pairs: list[Pair] = [((), piece) for piece in subject.pieces]
    order = subject.rng("batches").permutation(len(pairs)).tolist()

    def shuffled(batch_size: int | None) -> Scores:
        scores = subject.ask([pairs[i] for i in order], batch_size)
        return [scores[order.index(i)] for i in range(len(pairs))]

    single = subject.ask(pairs, 1)
    asked = {
        "in passes of three": subject.ask(pairs, 3),
        "in passes of as many as fit": subject.ask(pairs),
        "shuffled, in passes of one": shuffled(1),
        "shuffled, in passes of as many as fit": shuffled(None),
        "in groups": subject.scorer_of(None).score_groups([pairs])[0],
    }
    return _judged_by_way("batches", subject, single, asked, "a score depends on what shares its pass")


def _judged_by_way(
    check: str, subject: Subject, expected: Scores, asked: dict[str, Scores], so: str
) -> Finding:
    """Return the worst difference of what was asked in several ways from what was expected."""
    worst, where = 0.0, ""
    for way, found in asked.items():
        for one, other in zip(expected, found, strict=True):
            apart = difference(one, other)
            if apart > worst:
                worst, where = apart, way
    reason = f"{where}, scores of a document differ by up to {worst:.3g} nats from those of it alone: {so}."
    return judged(check, worst, subject.nats, reason)
