"""Whether figures are sums of scores, each token's once, over the bytes of the text.

`measure`, the function that makes the figures, is given pieces and must return the sum of what the scorer
says of each, their tokens and their bytes. A loss that is clipped or averaged on its way, and padding that is
scored, show here. And the bytes that a tokenizer says its tokens stand for, put together, are the bytes of
the text: bits per byte divide by these. Tokens of probability 0 must be counted, and only the others summed.
"""

import math

import numpy as np

from lmexp.evals.audit.finding import Finding, difference, judged
from lmexp.evals.audit.subject import Subject
from lmexp.evals.perplexity import EvalDocument


def check_figures(subject: Subject) -> Finding:
    """Return whether the rows that figures are sums of hold the scores of each token, once."""
    pieces = subject.pieces
    documents: list[EvalDocument] = [(str(i), piece, len(piece), 1) for i, piece in enumerate(pieces)]
    rows = list(subject.measure(subject.scorer_of(None), documents))
    if len(rows) != len(pieces):
        reason = f"{len(pieces)} documents give {len(rows)} rows of figures."
        return judged("figures", math.inf, subject.nats, reason)
    worst, reason = 0.0, ""
    asked = subject.ask([((), piece) for piece in pieces])
    for row, piece, whole in zip(rows, pieces, asked, strict=True):
        size = len(piece)
        if len(whole) != size:
            said = f"{len(whole)} scores come for a text of length {size}, so what is no token is scored."
            return judged("figures", math.inf, subject.nats, said)
        for name in ("tokens", "bytes"):
            if row[name] != size:
                said = f"a document of {size} {name} counts as {row[name]}."
                return judged("figures", math.inf, subject.nats, said)
        is_zero = np.isneginf(whole)
        if row.get("zero_tokens", 0) != is_zero.sum():
            said = f"{is_zero.sum()} tokens have probability 0, and {row.get('zero_tokens', 0)} are said to."
            return judged("figures", math.inf, subject.nats, said)
        stated = row["rest_nll_sum"] if is_zero.any() else row["nll_sum"]
        nats = -math.fsum(whole[~is_zero])
        apart = difference(np.array([stated]), np.array([nats])) / size
        if apart > worst:
            worst = apart
            reason = f"a document counts with {stated:.6g} nats and its tokens score {nats:.6g}."
    return judged("figures", worst, subject.nats, reason)


def check_bytes(subject: Subject) -> Finding:
    """Return whether the tokens of each text stand for its bytes, and it counts with as many."""
    lost, reason = 0, ""
    for text, (_, ids, num_bytes, _) in subject.measured():
        expected = text.encode()
        spelled = subject.tokenizer.spelled(ids)
        size = len(expected)
        wrong = abs(size - len(spelled)) or int(spelled != expected)
        if wrong:
            which = "not those of the text" if len(spelled) == size else f"and it has {size:,}"
            reason = reason or f"the tokens of a text stand for {len(spelled):,} bytes, {which}."
        if num_bytes != size:
            wrong += abs(num_bytes - size)
            reason = reason or f"a text of {size:,} bytes counts as {num_bytes:,}."
        lost += wrong
    return judged("bytes", float(lost), 0.0, reason)
