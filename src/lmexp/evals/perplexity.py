"""Perplexity and bits per byte of documents, each token scored exactly once.

The protocol: each document stands alone and begins after the end-of-text token. A document longer
than the model's context is scored in windows: the first scores up to `context_length` tokens, each
later one `stride` more, which then see at least `context_length - stride` tokens before them. The
end-of-text token that closes a document is not scored: it stands for no bytes.

    loss           nll_sum / tokens, nats          perplexity        exp(loss)
    bits_per_byte  nll_sum / (ln 2 x bytes)        byte_perplexity   exp(nll_sum / bytes)
                                                   word_perplexity   exp(nll_sum / words)

Sums run over all documents before dividing. bits_per_byte is thus a ratio of sums, and its standard
error is that of the ratio estimator, with documents as the independent units (Cochran 1977, ch. 6):

    stderr^2 = n / (n - 1) x sum_i (bits_i - bits_per_byte x bytes_i)^2 / (sum_i bytes_i)^2
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lmexp.errors import DataError
from lmexp.evals.scoring import Pair, Scorer

EvalDocument = tuple[str, Sequence[int], int, int]
"""(id, token ids without end-of-text, bytes of the text, words of the text)."""

_WINDOWS_AT_ONCE = 2048
"""Windows handed to the scorer together, so that it can sort them by length."""


def windows(num_tokens: int, context_length: int, stride: int) -> list[tuple[int, int, int]]:
    """Return (begin, first, end) of each window: tokens [begin, first) are context, [first, end) scored.

    In the first window the context is empty, which stands for the beginning of the document.
    Errors: `DataError` for a stride outside [1, context_length].
    """
    if not 1 <= stride <= context_length:
        raise DataError(
            f"perplexity.stride must be at least 1 and at most the context_length {context_length}, "
            f"was {stride}."
        )
    result = []
    end = 0
    while end < num_tokens:
        first = end
        end = min(first + (stride if first else context_length), num_tokens)
        begin = max(end - 1 - context_length, 0) if first else 0
        result.append((begin, first, end))
    return result


def evaluate_perplexity(
    scorer: Scorer, documents: Iterable[EvalDocument], *, context_length: int, stride: int
) -> tuple[list[dict[str, Any]], dict[str, float | int]]:
    """Score `documents` and return one row for each and the metrics over all.

    Rows hold id, nll_sum (nats), tokens, bytes, words, bits_per_byte. Metrics are those of the
    module's table, ``bits_per_byte/stderr`` (left out for a single document), `documents`, `tokens`
    and `bytes`; `word_perplexity` is left out where there are no words.
    Errors: `DataError` where there is nothing to score.
    """
    rows: list[dict[str, Any]] = []
    waiting: list[Pair] = []
    owners: list[int] = []

    def flush() -> None:
        for owner, scores in zip(owners, scorer.score(waiting), strict=True):
            rows[owner]["nll_sum"] -= float(scores.sum())
        waiting.clear()
        owners.clear()

    for identifier, ids, num_bytes, num_words in documents:
        rows.append(
            {"id": identifier, "nll_sum": 0.0, "tokens": len(ids), "bytes": num_bytes, "words": num_words}
        )
        for pair in _pairs(ids, context_length, stride):
            waiting.append(pair)
            owners.append(len(rows) - 1)
            if len(waiting) == _WINDOWS_AT_ONCE:
                flush()
    if waiting:
        flush()
    for row in rows:
        row["bits_per_byte"] = row["nll_sum"] / math.log(2) / row["bytes"] if row["bytes"] else None
    return rows, _metrics(rows)


def _pairs(ids: Sequence[int], context_length: int, stride: int) -> Iterator[Pair]:
    for begin, first, end in windows(len(ids), context_length, stride):
        yield ids[begin:first], ids[first:end]


def _metrics(rows: list[dict[str, Any]]) -> dict[str, float | int]:
    nll_sum = math.fsum(row["nll_sum"] for row in rows)
    tokens, num_bytes, words = (sum(row[name] for row in rows) for name in ("tokens", "bytes", "words"))
    if not tokens or not num_bytes:
        raise DataError(f"There is nothing to score: {len(rows)} documents hold {tokens} tokens.")
    bits = np.array([row["nll_sum"] for row in rows]) / math.log(2)
    sizes = np.array([row["bytes"] for row in rows], dtype=np.float64)
    bits_per_byte = nll_sum / math.log(2) / num_bytes
    metrics: dict[str, float | int] = {
        "loss": nll_sum / tokens,
        "perplexity": _exp(nll_sum / tokens),
        "bits_per_byte": bits_per_byte,
        "byte_perplexity": _exp(nll_sum / num_bytes),
        "documents": len(rows),
        "tokens": tokens,
        "bytes": num_bytes,
    }
    if words:
        metrics["word_perplexity"] = _exp(nll_sum / words)
    n = len(rows)
    if n > 1:
        squares = float(((bits - bits_per_byte * sizes) ** 2).sum())
        metrics["bits_per_byte/stderr"] = math.sqrt(n / (n - 1) * squares) / num_bytes
    return metrics


def _exp(nats: float) -> float:
    """Return exp(nats), or the largest float where that overflows (JSON has no infinity)."""
    return math.exp(min(nats, 709.0))
