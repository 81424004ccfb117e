"""Whether a bound is one: a mean over draws that states its standard error.

Of a model whose nats are an upper bound, each draw of its noise estimates the bound without bias, and what
counts is the mean. The least of several draws is below it, and may be below the true nats. So the same texts
are scored again by single draws, of which mean and least are the same, and the differences d of the n texts,
single draw minus what the figures state, may not lie above 0 by more than four standard errors:

    z = mean(d) / (s(d) / sqrt(n)) <= 4

Texts are the beginnings of pieces at different lengths, for each of which the noise is drawn anew. Rows of
figures that are bounds state the variance of their mean, `nll_variance`.
"""

import math

import numpy as np

from lmexp.evals.audit.finding import Finding, judged
from lmexp.evals.audit.subject import Subject
from lmexp.evals.perplexity import EvalDocument

LIMIT = 4.0
"""Most standard errors by which stated bounds may lie below single draws."""

_LENGTHS = 6
"""Beginnings of each piece that are scored."""


def check_bound(subject: Subject) -> Finding:
    """Return whether what the figures state of texts is the mean of single draws, with a standard error."""
    assert subject.bound is not None, "a bound is what can be drawn"
    texts = [piece[:end] for piece in subject.pieces for end in _ends(len(piece))]
    documents: list[EvalDocument] = [(str(i), text, len(text), 1) for i, text in enumerate(texts)]
    rows = list(subject.measure(subject.scorer_of(None), documents))
    if not all(row.get("nll_variance", 0) > 0 for row in rows if row["tokens"] > 1):
        return judged("bound", math.inf, LIMIT, "the figures are bounds and state no standard error.")
    single = [-scores.sum() for scores in subject.bound(1).score([((), text) for text in texts])]
    stated = [row["nll_sum"] for row in rows]
    gaps = np.array(single) - np.array(stated)
    error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    gap = float(gaps.mean())
    z = gap / error if error else math.copysign(math.inf, gap) if gap else 0.0
    reason = (
        f"{len(texts)} texts count with {math.fsum(stated):.6g} nats and single draws of them mean "
        f"{math.fsum(single):.6g}, {z:.3g} standard errors more: the bound is no mean over draws."
    )
    return judged("bound", z, LIMIT, reason)


def _ends(length: int) -> list[int]:
    """Return different lengths of a beginning, the whole among them, of which a draw hides some."""
    return sorted({int(end) for end in np.linspace(min(2, length), length, _LENGTHS)})
