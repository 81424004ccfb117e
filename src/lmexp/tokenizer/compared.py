"""Tokenizers side by side on the same texts: how long texts become, what is lost, what is used, how fast.

Bytes per token are the bytes of the texts themselves over the number of their tokens: more is shorter. They
are only a fair comparison on text that shaped none of the tokenizers, and between tokenizers that lose none
of it, which `lost_share` says. Speed is of the tokenizer's own `encode_batch`, in megabytes of text a CPU
second, all threads together; few texts are encoded again until that takes `LEAST_SECONDS`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmexp.errors import DataError
from lmexp.tokenizer.lost import lost_bytes
from lmexp.tokenizer.tokenizer import Tokenizer

LEAST_SECONDS = 0.1
"""CPU seconds over which speed is measured, at least."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a tokenizer does to texts."""

    vocab_size: int
    bytes_per_token: float
    """Of all texts."""
    domains: dict[str, float]
    """Bytes per token of each domain."""
    vocab_used: float
    """Share of the ids that occur in the texts, special tokens apart."""
    lost_share: float
    """Share of the bytes that do not come back; 0 where every text does."""
    megabytes_per_cpu_second: float


def compared(tokenizer: Tokenizer, domains: Mapping[str, Sequence[str]]) -> Compared:
    """Return what `tokenizer` does to the texts of each domain.

    Errors: `DataError` where there is no text.
    """
    sizes = {name: sum(len(text.encode()) for text in texts) for name, texts in domains.items()}
    if not sum(sizes.values()):
        raise DataError("there is no text to compare tokenizers on; give some with --texts or --corpus.")
    occurs = np.zeros(tokenizer.vocab_size, dtype=bool)
    tokens, lost = dict.fromkeys(domains, 0), 0
    for name, texts in domains.items():
        for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
            occurs[ids] = True
            tokens[name] += len(ids)
            lost += lost_bytes(tokenizer.lost(text))
    ordinary = np.array([bool(content) for content in tokenizer.token_contents])
    total = sum(sizes.values())
    return Compared(
        vocab_size=tokenizer.vocab_size,
        bytes_per_token=total / max(sum(tokens.values()), 1),
        domains={name: sizes[name] / max(count, 1) for name, count in tokens.items()},
        vocab_used=float(occurs[ordinary].mean()),
        lost_share=lost / total,
        megabytes_per_cpu_second=total / 1e6 / _seconds(tokenizer, domains),
    )


def _seconds(tokenizer: Tokenizer, domains: Mapping[str, Sequence[str]]) -> float:
    """Return the CPU seconds that it takes to encode all texts, of a tokenizer that has encoded before."""
    begin, passes, seconds = time.process_time(), 0, 0.0
    while seconds < LEAST_SECONDS:
        for texts in domains.values():
            tokenizer.encode_batch(texts)
        passes, seconds = passes + 1, time.process_time() - begin
    return seconds / passes
