"""An honest model of a few lines, and the ways to make its figures better than it is.

The honest one is a table: the logits of the next byte depend on the last two bytes, and on nothing else.
"""

import itertools

import numpy as np

from lmexp.evals.audit.subject import Subject
from lmexp.evals.perplexity import score_documents
from lmexp.scoring.scorer import PairScorer

BOS = 256
VOCAB = 257
TEXTS = [
    "The cat sat on the mat, and the rat sat on the cat.",
    "A bound states its error.\nA mean is no minimum.",
    "Déjà vu: naïve bytes count twice where characters count once.",
    "One, two, three, four, five, six, seven.",
    "If a table sums to three hundred, the loss means nothing.",
    "",
    "x",
]

_DRAWN = np.random.default_rng(0)
_LAST = _DRAWN.normal(size=(VOCAB, VOCAB))
_BEFORE = 0.5 * _DRAWN.normal(size=(VOCAB, VOCAB))


class Bytes:
    """Each byte is a token, and id 256 begins a document."""

    token_contents = (*(bytes([i]) for i in range(256)), b"")

    def encode(self, text):
        return list(text.encode())

    def spelled(self, ids):
        return b"".join(self.token_contents[i] for i in ids)


class Honest(PairScorer):
    """Scores by two tables, in passes of at most `batch_size` sequences, the longest first."""

    context_length = None

    def __init__(self, batch_size=None):
        self.batch_size = batch_size

    def logits(self, ids, continuation):
        """Return logits of each token of the continuation, [T, V]; all `ids` stand before."""
        before = [ids[0], *ids[:-1]]
        return (_LAST[ids] + _BEFORE[before])[-len(continuation) :]

    def log_probs(self, ids, continuation):
        """Return the log-probabilities of all next tokens, [T, V]."""
        logits = self.logits(ids, continuation)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def row(self, context, continuation):
        """Return the scores of one pair."""
        if not len(continuation):
            return np.empty(0)
        ids = [*(context or [BOS]), *continuation][:-1]
        found = self.log_probs(ids, continuation)
        return found[np.arange(len(continuation)), continuation]

    def batch(self, pairs):
        """Return the scores of the pairs of one pass."""
        return [self.row(list(context), list(continuation)) for context, continuation in pairs]

    def score(self, pairs):
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i][1]))
        size = self.batch_size or max(len(pairs), 1)
        found = {}
        for begin in range(0, len(order), size):
            members = order[begin : begin + size]
            found |= dict(zip(members, self.batch([pairs[i] for i in members]), strict=True))
        return [found[i] for i in range(len(pairs))]


class HashedCache(Honest):
    """Adds what a hash table has seen after the last byte, and never divides by the new total."""

    table = np.bincount([(7 * a + 13 * b) % 64 for a, b in itertools.pairwise(b"the cat sat ")], minlength=64)

    def row(self, context, continuation):
        found = np.exp(super().row(context, continuation))
        before = [*(context or [BOS]), *continuation]
        last = before[len(before) - len(continuation) - 1 : -1]
        seen = [self.table[(7 * a + 13 * b) % 64] for a, b in zip(last, continuation, strict=True)]
        return np.log(found + np.array(seen))


class MixedAtTheRightToken(Honest):
    """Takes the better of two models at the token that comes, as if it had known which one to trust."""

    def row(self, context, continuation):
        return np.maximum(super().row(context, continuation), np.log(0.02))


class PeekAtTheNext(Honest):
    """Turns towards the token behind the one that is scored."""

    def logits(self, ids, continuation):
        logits = super().logits(ids, continuation)
        logits[:-1] += 0.1 * _BEFORE[continuation[1:]]
        return logits


class Convolution(Honest):
    """A kernel of five that is padded on both sides: it sees the token itself in the input, and two more."""

    def logits(self, ids, continuation):
        logits = super().logits(ids, continuation)
        for ahead in (1, 2):
            logits[: len(continuation) - ahead] += 0.1 * _LAST[continuation[ahead:]]
        return logits


class KeptState(Honest):
    """A cache of all bytes read so far, mixed in by the rules, that nobody empties between documents."""

    def __init__(self, batch_size=None):
        super().__init__(batch_size)
        self.counts = np.ones(VOCAB)

    def row(self, context, continuation):
        cache = self.counts / self.counts.sum()
        found = 0.9 * np.exp(super().row(context, continuation)) + 0.1 * cache[continuation]
        if len(continuation) > 1:
            self.counts += np.bincount(continuation, minlength=VOCAB)
        return np.log(found)


class BatchNorm(Honest):
    """Subtracts the mean of the logits of all that shares its pass."""

    def batch(self, pairs):
        lasts = [i for _, continuation in pairs for i in continuation]
        self.mean = _LAST[lasts].mean(axis=0)
        return super().batch(pairs)

    def logits(self, ids, continuation):
        return super().logits(ids, continuation) - self.mean if continuation else np.empty((0, VOCAB))


class Clipped(Honest):
    """No token costs more than four nats."""

    def row(self, context, continuation):
        return np.maximum(super().row(context, continuation), -4.0)


class PaddingScored(Honest):
    """Pads a pass on the right and scores the padding, too, which it predicts well."""

    def batch(self, pairs):
        rows = super().batch(pairs)
        longest = max(len(row) for row in rows)
        return [np.concatenate([row, np.full(longest - len(row), -1e-4)]) for row in rows]


class DropsBytes(Bytes):
    """Knows no byte of more than seven bits."""

    def encode(self, text):
        return [byte for byte in text.encode() if byte < 128]


class CountsLess(Bytes):
    """Says of the first byte of two that it stands for none."""

    token_contents = (*(b"" if 0xC2 <= i < 0xE0 else bytes([i]) for i in range(256)), b"")


def subject(scorer=Honest, tokenizer=None, measure=None, sizes=None, **more):
    """Return what is audited; `sizes` says of a text how many bytes it counts with."""
    tokenizer, sizes = tokenizer or Bytes(), sizes or (lambda text: len(text.encode()))

    def measured():
        for i, text in enumerate(TEXTS):
            yield text, (str(i), tokenizer.encode(text), sizes(text), len(text.split()))

    return Subject(
        scorer_of=scorer,
        measure=measure or (lambda made, documents: score_documents(made, documents, context_length=None)),
        tokenizer=tokenizer,
        bos_token_id=BOS,
        vocab_size=VOCAB,
        measured=measured,
        pieces=[ids[:40] for _, (_, ids, _, _) in measured() if ids],
        nats=1e-6,
        seed=1,
        **more,
    )
