"""Three ways to a record that cannot be, and the check that finds each.

The text is drawn from a source whose entropy is known to the last digit: no model can need fewer bits. A byte
n-gram model is measured on it honestly, and then three times with a fault that has made "records" in public.
Each fault claims fewer bits than the entropy. Nobody knows the entropy of real text; so the audit asks other
questions, and they need no truth.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lmexp.evals.audit.audit import audit
from lmexp.evals.audit.subject import Subject
from lmexp.evals.perplexity import evaluate_perplexity, score_documents
from lmexp.known.build import build_process, draw_texts
from lmexp.known.config import ProcessConfig
from lmexp.known.process import log_probs
from lmexp.models.build import count_model
from lmexp.models.families import NGramConfig
from lmexp.scoring.pairs import PairScorer
from lmexp.scoring.scorer import scorer_of
from lmexp.tokenizer.config import ByteConfig

SOURCE = ProcessConfig(num_symbols=8, order=2, line_length=4)
NUM_TRAIN, NUM_TEST, NUM_LINES = 600, 20, 100
CYRILLIC = str.maketrans("abcdefgh", "абвгдежз")
"""Letters of two bytes, so that a token is a part of a character, as a fallback byte is."""

BYTES = ByteConfig().make(iter(()))
BOS = BYTES.bos_token_id


@dataclass(frozen=True)
class Claim:
    """A way to measure."""

    name: str
    scorer: Callable[[], PairScorer]
    sizes: Callable[[Sequence[int]], int]
    """From a text's tokens to the bytes that it counts with."""


class HashedCache(PairScorer):
    """Adds to each probability what a hash table has seen, and divides by nothing afterwards."""

    context_length = None
    buckets = 4096

    def __init__(self, honest: PairScorer, train: Sequence[Sequence[int]]) -> None:
        self.honest = honest
        self.counts = Counter(self.bucket(ids[i - 4 : i + 1]) for ids in train for i in range(4, len(ids)))
        self.most = max(self.counts.values())

    def bucket(self, ids: Sequence[int]) -> int:
        return hash(tuple(ids)) % self.buckets

    def score(self, pairs):
        results = []
        for (context, continuation), own in zip(pairs, self.honest.score(pairs), strict=True):
            ids = [*(context or [BOS]), *continuation]
            ends = range(len(ids) - len(continuation), len(ids))
            seen = [self.counts[self.bucket(ids[max(0, i - 4) : i + 1])] / self.most for i in ends]
            results.append(np.log(np.minimum(np.exp(own) + 0.3 * np.array(seen), 1.0)))
        return results


def texts(first: int, number: int) -> list[str]:
    """Return texts of the source, from the one with this number on."""
    drawn = islice(draw_texts(SOURCE, NUM_LINES), first, first + number)
    return [text.translate(CYRILLIC) for text in drawn]


def main() -> None:
    """Print what each way to measure claims, and what the audit says of it."""
    train, test = texts(0, NUM_TRAIN), texts(NUM_TRAIN, NUM_TEST)
    ids = [BYTES.encode(text) for text in train]
    rows = (np.array([BOS, *row]) for row in ids)
    model = count_model(NGramConfig(order=9), rows, vocab_size=BYTES.vocab_size, bos_token_id=BOS)
    honest = scorer_of(model, bos_token_id=BOS)
    newline = BYTES.encode("\n")[0]
    claims = [
        Claim("honest", lambda: honest, len),
        Claim("a hashed cache without a normalizer", lambda: HashedCache(honest, ids), len),
        Claim("the newline's byte counted twice", lambda: honest, lambda row: len(row) + row.count(newline)),
        Claim(
            "fallback bytes counted as three",  # each alone is no character: U+FFFD, three bytes
            lambda: honest,
            lambda row: sum(len(BYTES.decode([i]).encode()) for i in row),
        ),
    ]
    process = build_process(SOURCE)
    entropy = process.line_entropy_bits() / (2 * SOURCE.line_length + 1)
    print(f"{entropy:.4f}  the entropy of the source, in bits per byte")
    lines = islice(draw_texts(SOURCE, NUM_LINES), NUM_TRAIN, NUM_TRAIN + NUM_TEST)
    nats = -sum(log_probs(process, text).sum() for text in lines)
    least = nats / math.log(2) / sum(len(text.encode()) for text in test)
    print(f"{least:.4f}  what the source itself needs for these lines: no model can need fewer\n")
    for claim in claims:
        show(claim, test, least)


def show(claim: Claim, test: list[str], least: float) -> None:
    """Measure and audit one way, beside the least bits per byte that there are."""
    documents = [(str(i), BYTES.encode(text), text) for i, text in enumerate(test)]
    counted = [(i, row, claim.sizes(row), len(text.split())) for i, row, text in documents]
    scorer = claim.scorer()
    _, metrics = evaluate_perplexity(scorer, counted, context_length=None)
    subject = Subject(
        scorer_of=lambda _batch_size: scorer,
        measure=lambda made, rows: score_documents(made, rows, context_length=None),
        tokenizer=BYTES,
        bos_token_id=BOS,
        vocab_size=BYTES.vocab_size,
        measured=lambda: zip(test, counted, strict=True),
        pieces=[row[:60] for _, row, _ in documents[:8]],
        nats=1e-6,
        seed=0,
    )
    failed = [finding for finding in audit(subject, contexts=6) if finding.verdict != "pass"]
    bits = metrics["bits_per_byte"]
    verdict = "impossible" if bits < least else "possible"
    print(f"{bits:.4f}  {verdict:10}  {claim.name}")
    for finding in failed or [None]:
        said = "every check of the audit passes" if finding is None else f"{finding.check}: {finding.reason}"
        print(f"{'':20}{said}")


if __name__ == "__main__":
    main()
