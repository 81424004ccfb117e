"""Probabilities from sorted keys and the weights beside them, after a context or along a text.

An n-gram is looked for by its first n - 1 tokens and its last one, in an ascending array of keys (`grams`).
Along a text this costs order - 1 binary searches a token, as the n-grams that end at a token extend those
that end at the one before; a context on its own costs (order - 1)(order - 2) / 2 of them.

A model of 49 million n-grams of up to 5 words scores 1.0 million tokens a CPU second beside other work, one
of 2 million 1.3 to 1.7 million; one row's distribution over 50,000 tokens takes half a millisecond.

A `bos` in a context begins a document, and what stands before it is not seen: no n-gram was counted over
it. The longest context is that which begins with it, and orders above have no say.

Where nothing but the unsmoothed could be said, a probability may be 0, and its logarithm is minus infinity.

Letters of shapes: B rows, N tokens, K = order - 1, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.counts import check_ids, reach
from lmexp.models.families.ngram.document_cache import mixed_after, mixed_along
from lmexp.models.families.ngram.grams import Ints, find
from lmexp.models.families.ngram.smoothing import Floats, Smoothed, Weights
from lmexp.models.families.ngram.state import NOTHING, State
from lmexp.models.interface import Capability, Pair

SCORED_AT_ONCE = 2**20
"""Tokens that `score` holds work arrays of at one time, some 100 bytes each. The more are looked for
together, the closer together they lie in the keys."""


class Lookups:
    """What gives probabilities, wherever its n-grams and their weights are from."""

    family: str = "ngram"
    context_length: int | None = None
    """None: a text of any length is read; only its last order - 1 tokens are seen."""
    can: frozenset[Capability] = frozenset({"next_token", "streams"})

    def __init__(
        self, keys: Sequence[Ints], smoothed: Smoothed, *, bos_token_id: int, cache: Sequence[float] = ()
    ) -> None:
        self.keys = keys
        """The n-grams of order 2, 3 and so on."""
        self.order = len(keys) + 1
        """Most tokens of an n-gram."""
        self.smoothed = smoothed
        """The weights beside them."""
        self.bos_token_id = bos_token_id
        """Id of the token that begins and ends documents."""
        self.cache = cache
        """Weights of what the document has said so far (`document_cache`); none without."""
        self.vocab_size = len(smoothed.unigram)
        """Number of ids, V."""
        self._leaves_all = smoothed.rule == "interpolate" and all(
            o.left_over[-1] == 1 for o in smoothed.orders
        )
        """Whether a context that is not there leaves all to what is below, so that it needs no mask."""

    def log_probs(self, contexts: NDArray[np.integer], targets: NDArray[np.integer]) -> Floats:
        """Return ln p(targets[i] | contexts[i]) of each i, [N], in nats.

        `contexts` are the last K tokens before each target, right-aligned, -1 where there is nothing, [N, K],
        which say nothing of the document before: a cache has no part in it.
        Errors: `DataError` for an id outside the vocabulary.
        """
        before, after = self._checked(contexts), np.asarray(targets, dtype=np.int64)
        check_ids(after, self.vocab_size)
        lengths = self._lengths(before)
        probs = self.smoothed.unigram[after]
        for n, (keys, order) in enumerate(zip(self.keys, self.smoothed.orders, strict=True), start=2):
            ids = self._find_contexts(before, n - 1)
            places = find(keys, ids, after, self.vocab_size)
            probs = self._joined(order, probs, ids, places, lengths >= n - 1)
        return _log(probs)

    def distribution(self, contexts: NDArray[np.integer]) -> Floats:
        """Return ln p(w | contexts[i]) of all tokens w, [B, V], in nats; contexts as for `log_probs`.

        Errors: `DataError` for an id outside the vocabulary.
        """
        return _log(self._distribution(self._checked(contexts)))

    def _distribution(self, before: Ints) -> Floats:
        """Return p of all tokens, [B, V], without a cache."""
        lengths = self._lengths(before)
        probs = np.tile(self.smoothed.unigram, (len(before), 1))
        for n, (keys, order) in enumerate(zip(self.keys, self.smoothed.orders, strict=True), start=2):
            ids = self._find_contexts(before, n - 1)
            has_context = lengths >= n - 1
            if self.smoothed.rule == "uniform":
                probs[has_context] = 1 / self.vocab_size
            probs *= np.where(has_context, order.left_over[ids], 1)[:, None]
            begins = np.searchsorted(keys, ids * self.vocab_size)
            num_followers = np.searchsorted(keys, (ids + 1) * self.vocab_size) - begins  # 0 where ids is -1
            rows = np.repeat(np.arange(len(before)), num_followers)
            firsts = np.repeat(begins - np.cumsum(num_followers) + num_followers, num_followers)
            places = firsts + np.arange(len(rows))
            tokens = keys[places] % self.vocab_size
            if self.smoothed.rule == "backoff":
                probs[rows, tokens] = order.own[places]
            else:
                probs[rows, tokens] += order.own[places]
        return probs

    def begin(self, num_rows: int) -> State:
        """Return the state of `num_rows` rows that have read nothing."""
        return State.new(num_rows, self.order, bos_token_id=self.bos_token_id if self.cache else None)

    def step(self, ids: NDArray[np.integer], lengths: NDArray[np.integer], state: State) -> Floats:
        """Read on, moving `state`, and return ln p of each row's next token, [B, V], in nats.

        Row i reads the first `lengths[i]` of `ids[i]`, [B, T]; what stands behind is padding. Errors:
        `DataError` for an id outside the vocabulary among those read, and as `State.read`.
        """
        new, num_new = np.asarray(ids, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
        state.read(new, num_new, self.vocab_size)
        probs = self._distribution(state.tokens)
        for row, document in zip(probs, state.documents or (), strict=bool(state.documents)):
            row[:] = mixed_after(row, document, self.cache)
        return _log(probs)

    def score(self, pairs: Sequence[Pair], bos_token_id: int) -> list[Floats]:
        """Return ln p, in nats, of each token of each continuation, given all that stands before it.

        An empty context stands for `bos_token_id`. Memory beyond the pairs: 25 bytes for each of their
        tokens, some 150 with a cache, and SCORED_AT_ONCE. Errors: `DataError` for an id outside the
        vocabulary.
        """
        num_back = self.order - 1
        rows = []
        for context, continuation in pairs:
            first = 0 if self.cache else max(len(context) - num_back, 0)
            visible = context[first:] if len(context) else (bos_token_id,)
            rows.append((visible, continuation))
        if not rows:
            return []
        parts = [np.asarray(part, dtype=np.int64) for row in rows for part in row]
        sizes = np.array([len(part) for part in parts])
        log_probs = self._along(np.concatenate(parts), sizes[::2] + sizes[1::2])
        return np.split(log_probs, np.cumsum(sizes)[:-1])[1::2]

    def _along(self, ids: Ints, lengths: Ints) -> Floats:
        """Return ln p of each of `ids`, which are rows of `lengths` one after the other, within its row."""
        check_ids(ids, self.vocab_size)
        in_row = np.arange(1, len(ids) + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        visible = np.minimum(in_row, reach(ids, self.bos_token_id))
        probs = np.empty(len(ids))
        for begin in range(0, len(ids), SCORED_AT_ONCE):
            first = max(begin - self.order + 1, 0)  # no n-gram of a later token begins before
            last = begin + SCORED_AT_ONCE
            probs[begin:last] = self._probs(ids[first:last], visible[first:last])[begin - first :]
        if self.cache and len(ids):
            probs = mixed_along(probs, ids, in_row == 1, self.bos_token_id, self.cache)
        return _log(probs)

    def _probs(self, ids: Ints, visible: Ints) -> Floats:
        """Return p of each of `ids` after at most `visible - 1` tokens before it, [N]."""
        probs = self.smoothed.unigram[ids]
        ending = ids  # index of the n-gram, one token shorter, that ends at each token
        for n, (keys, order) in enumerate(zip(self.keys, self.smoothed.orders, strict=True), start=2):
            before = np.full(len(ids), -1, dtype=np.int64)
            before[1:] = ending[:-1]
            before[visible < n] = -1
            known = np.flatnonzero(before >= 0)
            ending = np.full(len(ids), -1, dtype=np.int64)
            ending[known] = find(keys, before[known], ids[known], self.vocab_size)
            probs = self._joined(order, probs, before, ending, visible >= n)
        return probs

    def _joined(
        self, order: Weights, below: Floats, contexts: Ints, places: Ints, has_context: NDArray[np.bool_]
    ) -> Floats:
        """Return p at one order, of n-grams at `places` in it, from p at the order `below`, [N].

        `has_context` is false where the text has fewer tokens than the order's context.
        """
        if self._leaves_all:
            return np.asarray(order.left_over[contexts] * below + order.own[places])
        if self.smoothed.rule == "backoff":
            probs = np.where(places >= 0, order.own[places], order.left_over[contexts] * below)
        else:
            base = below if self.smoothed.rule == "interpolate" else 1 / self.vocab_size
            probs = order.left_over[contexts] * base + order.own[places]
        return np.where(has_context, probs, below)

    def _lengths(self, contexts: Ints) -> Ints:
        """Return how many tokens of each context are seen, back to the last `bos` or the first token, [N]."""
        is_seen = contexts != NOTHING
        is_seen[:, :-1] &= contexts[:, 1:] != self.bos_token_id
        return np.asarray(np.logical_and.accumulate(is_seen[:, ::-1], axis=1).sum(axis=1))

    def _find_contexts(self, contexts: Ints, length: int) -> Ints:
        """Return the index of the last `length` >= 1 tokens of each context, -1 where it has none, [N]."""
        columns = contexts[:, contexts.shape[1] - length :].T
        ids: Ints = columns[0]
        for keys, tokens in zip(self.keys, columns[1:], strict=False):
            ids = find(keys, ids, tokens, self.vocab_size)
            ids[tokens == NOTHING] = -1
        return ids

    def _checked(self, contexts: NDArray[np.integer]) -> Ints:
        result = np.asarray(contexts, dtype=np.int64)
        check_ids(result, self.vocab_size, lowest=NOTHING)
        assert result.shape[1:] == (self.order - 1,)
        return result


def _log(probs: Floats) -> Floats:
    """Return the logarithms in place of `probs`; that of 0 is minus infinity."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probs, out=probs))
