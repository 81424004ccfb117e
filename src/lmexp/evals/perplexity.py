"""Perplexity and bits per byte of documents, each token scored exactly once.

The protocol: each document stands alone and begins after the token that begins a document. One longer
than `context_length` is scored in windows: the first scores up to `context_length` tokens, each later
one `stride` more, which then see at least `context_length - stride` tokens before them; the last one,
which scores what is left, reaches back as far as the context allows. With a stride of `context_length`
windows do not overlap, the last one neither: each token is read once. The end-of-text token that closes
a document is not scored: it stands for no bytes. Who asks for it (`score_ends`) hands in ids that end with
it: it is one more token, of 0 bytes, and there is one for each document.

    loss           nll_sum / tokens, nats          perplexity        exp(loss)
    bits_per_byte  nll_sum / (ln 2 x bytes)        byte_perplexity   exp(nll_sum / bytes)
                                                   word_perplexity   exp(nll_sum / words)

A token of probability 0 loses infinitely much, and so does all text around it. Then there is no loss and none
of the figures above; in their place stand

    zero_tokens    tokens of probability 0       rest_loss    nats of all others / their number

Sums run over all documents before dividing. loss and bits_per_byte are thus ratios of sums, and their
standard errors are those of the ratio estimator y / x, with documents as the independent units
(Cochran 1977, ch. 6):

    stderr^2 = n / (n - 1) x sum_i (y_i - ratio x x_i)^2 / (sum_i x_i)^2

Of a model that gives a bound (`lmexp.scoring.bound`), nll_sum is the mean of its draws, and so is every
figure: an upper bound. The error of the draws alone, as the standard error of the mean, stands beside the
figures; the one over documents holds it too, since each document is drawn for itself.

Documents are streamed: a bounded number of windows and 40 bytes a document are held.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.models.interface import Pair
from lmexp.scoring.estimate import gives_estimates
from lmexp.scoring.scorer import Scorer

EvalDocument = tuple[str, Sequence[int], int, int]
"""(id, token ids, bytes of the text, words of the text)."""

Row = dict[str, Any]
"""What is known of one document."""

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
        begin = max((end - context_length if stride < context_length else first) - 1, 0)
        result.append((begin, first, end))
    return result


def evaluate_perplexity(
    scorer: Scorer,
    documents: Iterable[EvalDocument],
    *,
    context_length: int | None,
    stride: int | None = None,
) -> tuple[list[Row], dict[str, float | int]]:
    """Return the rows of `score_documents` and the metrics of `perplexity_metrics`, all in memory."""
    rows = list(score_documents(scorer, documents, context_length=context_length, stride=stride))
    return rows, perplexity_metrics(rows)


def score_documents(
    scorer: Scorer,
    documents: Iterable[EvalDocument],
    *,
    context_length: int | None,
    stride: int | None = None,
) -> Iterator[Row]:
    """Score `documents` and yield one row for each, in order.

    Rows hold id, nll_sum (nats), tokens, bytes, words, and of the module's table bits_per_byte,
    perplexity, byte_perplexity and word_perplexity, each None where it would divide by 0. A
    `context_length` of None scores every document in one window. A row with tokens of probability 0 has
    their number as zero_tokens, the nats of the others as rest_nll_sum, and None for what is infinite. A row
    of a bound has nll_variance, that of the mean of its draws.
    """
    waiting: list[Pair] = []
    owners: list[Row] = []
    rows: list[Row] = []  # in order; all but the last have all of their windows in `waiting`

    def flush() -> None:
        _add(scorer, waiting, owners)
        waiting.clear()
        owners.clear()

    variance = {"nll_variance": 0.0} if gives_estimates(scorer) else {}
    for identifier, ids, num_bytes, num_words in documents:
        row = {"id": identifier, "nll_sum": 0.0, "tokens": len(ids), "bytes": num_bytes, "words": num_words}
        row |= variance
        rows.append(row)
        for pair in _pairs(ids, context_length, stride):
            waiting.append(pair)
            owners.append(row)
            if len(waiting) == _WINDOWS_AT_ONCE:
                flush()
                yield from map(_with_ratios, rows[:-1])
                del rows[:-1]
    if waiting:
        flush()
    yield from map(_with_ratios, rows)


def score_as_one_text(
    scorer: Scorer,
    documents: Iterable[EvalDocument],
    *,
    context_length: int | None,
    stride: int | None = None,
) -> list[Row]:
    """Score `documents` as one text, in which each reads on where the one before it ended.

    Returns the rows of `score_documents`, all in memory as the text's ids are. Not for a bound, of which a
    document's own variance is not known.
    """
    assert not gives_estimates(scorer), "the stage refuses bounds"
    rows: list[Row] = []
    text: list[int] = []
    for identifier, ids, num_bytes, num_words in documents:
        rows.append(
            {"id": identifier, "nll_sum": 0.0, "tokens": len(ids), "bytes": num_bytes, "words": num_words}
        )
        text.extend(ids)
    scores = np.concatenate([np.empty(0), *scorer.score(list(_pairs(text, context_length, stride)))])
    ends = np.cumsum([row["tokens"] for row in rows])
    for row, own in zip(rows, np.split(scores, ends[:-1]), strict=True):
        _count(row, own)
    return list(map(_with_ratios, rows))


def _add(scorer: Scorer, pairs: Sequence[Pair], owners: Sequence[Row]) -> None:
    """Add the nats of pairs, and the variance of a bound, to the rows of the documents that own them."""
    if gives_estimates(scorer):
        estimates = scorer.estimates(pairs)
        for row, estimate in zip(owners, estimates, strict=True):
            row["nll_variance"] += estimate.variance
        found = [estimate.log_probs for estimate in estimates]
    else:
        found = scorer.score(pairs)
    for row, scores in zip(owners, found, strict=True):
        _count(row, scores)


def _count(row: Row, scores: NDArray[np.float64]) -> None:
    """Add the log-probabilities of some tokens of a document to its row."""
    is_zero = np.isneginf(scores)
    if is_zero.any():
        row["zero_tokens"] = row.get("zero_tokens", 0) + int(is_zero.sum())
    row["nll_sum"] -= float(scores[~is_zero].sum())


def perplexity_metrics(rows: Iterable[Mapping[str, Any]]) -> dict[str, float | int]:
    """Return the metrics of the module's table over `rows`, which are read once.

    Beside them stand ``loss/stderr`` and ``bits_per_byte/stderr`` (left out for a single document),
    `documents`, `tokens`, `bytes` and `words`; `word_perplexity` is left out where there are no words.
    Rows of a bound give ``is_bound`` (1), and ``loss/draws_stderr`` and ``bits_per_byte/draws_stderr``, the
    error that its draws leave on these very documents.
    Rows that also hold `true_nll_sum`, the nats of the true model, give ``true_bits_per_byte`` and
    ``regret_bits_per_byte``, the model's bits beyond the true model's on the same documents, with
    standard errors; that of the regret is of the paired differences.
    Errors: `DataError` where there is nothing to score.
    """
    names = ("nll_sum", "tokens", "bytes", "words", "true_nll_sum", "nll_variance")
    columns = {name: array("d") for name in names}
    zero_tokens = 0
    for row in rows:
        found = row
        if "zero_tokens" in row:
            zero_tokens += row["zero_tokens"]
            found = {**row, "nll_sum": row["rest_nll_sum"]}
        for name, column in columns.items():
            if name in row:
                column.append(found[name])
    nats, tokens, sizes, words, true_nats, variances = map(np.frombuffer, columns.values())
    if not tokens.sum() or not sizes.sum():
        raise DataError(
            f"There is nothing to score: {len(tokens)} documents hold {int(tokens.sum())} tokens."
        )
    nll_sum, num_bytes = math.fsum(nats), sizes.sum()
    size: dict[str, float | int] = {
        "documents": len(tokens),
        "tokens": int(tokens.sum()),
        "bytes": int(num_bytes),
        "words": int(words.sum()),
    }
    if zero_tokens:
        rest = int(tokens.sum()) - zero_tokens
        return {"zero_tokens": zero_tokens, **({"rest_loss": nll_sum / rest} if rest else {}), **size}
    loss = _ratio("loss", nats, tokens)
    metrics: dict[str, float | int] = {
        **loss,
        "perplexity": _exp(loss["loss"]),
        **_ratio("bits_per_byte", nats / math.log(2), sizes),
        "byte_perplexity": _exp(nll_sum / num_bytes),
        **size,
    }
    if words.sum():
        metrics["word_perplexity"] = _exp(nll_sum / words.sum())
    if len(variances):
        error = math.sqrt(math.fsum(variances))
        metrics["is_bound"] = 1
        metrics["loss/draws_stderr"] = error / float(tokens.sum())
        metrics["bits_per_byte/draws_stderr"] = error / math.log(2) / float(num_bytes)
    if len(true_nats):
        metrics |= _ratio("true_bits_per_byte", true_nats / math.log(2), sizes)
        metrics |= _ratio("regret_bits_per_byte", (nats - true_nats) / math.log(2), sizes)
    return metrics


def _pairs(ids: Sequence[int], context_length: int | None, stride: int | None) -> Iterator[Pair]:
    if context_length is None:
        if len(ids):
            yield (), ids
        return
    for begin, first, end in windows(len(ids), context_length, stride or default_stride(context_length)):
        yield ids[begin:first], ids[first:end]


def default_stride(context_length: int) -> int:
    """Return the tokens by which windows move where nothing else is said: half of the context."""
    return max(1, context_length // 2)


def _with_ratios(row: Row) -> Row:
    nats = row["nll_sum"]
    if "zero_tokens" in row:
        names = ("nll_sum", "bits_per_byte", "perplexity", "byte_perplexity", "word_perplexity")
        return row | dict.fromkeys(names) | {"rest_nll_sum": nats}
    row["bits_per_byte"] = nats / math.log(2) / row["bytes"] if row["bytes"] else None
    row["perplexity"] = _exp(nats / row["tokens"]) if row["tokens"] else None
    for unit in ("byte", "word"):
        count = row[f"{unit}s"]
        row[f"{unit}_perplexity"] = _exp(nats / count) if count else None
    return row


def _ratio(
    name: str, numerators: "np.ndarray[Any, Any]", denominators: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return the ratio of the sums by `name`, and its standard error over more than one document."""
    n, total = len(numerators), float(denominators.sum())
    ratio = math.fsum(numerators) / total
    result = {name: ratio}
    if n > 1:
        squares = float(((numerators - ratio * denominators) ** 2).sum())
        result[f"{name}/stderr"] = math.sqrt(n / (n - 1) * squares) / total
    return result


def _exp(nats: float) -> float:
    """Return exp(nats), or the largest float where that overflows (JSON has no infinity)."""
    return math.exp(min(nats, 709.0))
