"""What is audited: everything that a figure is made of, and the questions that are put to it.

The scorer is not trusted: it is made anew in different ways and asked for the same thing again. The
tokenizer is asked for the bytes of each id. `measure` is the very function that makes the figures.

A piece is the beginning of a document, at most so many tokens that one window holds it. Legend: V vocabulary.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmexp.evals.perplexity import EvalDocument
from lmexp.models.interface import Pair
from lmexp.scoring.scorer import Scorer

QUESTIONS = 2**18
"""Most tokens of all V questions about one context, where each is read for itself."""


class TokenContents(Protocol):
    """What an audit asks of a tokenizer."""

    @property
    def token_contents(self) -> Sequence[bytes]:
        """The bytes that each id stands for; none for a special token."""
        ...

    def spelled(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of the text that `ids` stand for."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A model as it is measured."""

    scorer_of: Callable[[int | None], Scorer]
    """From the most sequences of a pass to what makes the figures."""
    measure: Callable[[Scorer, Iterable[EvalDocument]], Iterable[Mapping[str, Any]]]
    """From documents to the rows that the figures are sums of, as `score_documents`."""
    tokenizer: TokenContents
    bos_token_id: int
    """Id that begins a document."""
    vocab_size: int
    """Ids that the model gives a probability, V."""
    measured: Callable[[], Iterable[tuple[str, EvalDocument]]]
    """Gives every text that figures are of, and what is scored of it."""
    pieces: Sequence[Sequence[int]]
    """The beginnings of some texts, none empty."""
    nats: float
    """Most by which two scores of one token may differ by rounding."""
    seed: int
    bound: Callable[[int], Scorer] | None = None
    """From a number of draws to what scores, for a model whose nats are an upper bound; None for others."""

    def rng(self, check: str) -> np.random.Generator:
        """Return the random numbers of one check, whatever others draw."""
        return np.random.default_rng([self.seed, *check.encode()])

    def ask(self, pairs: Sequence[Pair], batch_size: int | None = None) -> list[NDArray[np.float64]]:
        """Return the scores of a new scorer to all pairs at once."""
        return self.scorer_of(batch_size).score(pairs)

    def contexts(self, number: int, rng: np.random.Generator) -> list[list[int]]:
        """Return the beginning of a document, and `number` - 1 random contexts of real text.

        They are short where the vocabulary is large: all questions about one hold `QUESTIONS` tokens at most.
        """
        found: list[list[int]] = [[]]
        while len(found) < number:
            piece = self.pieces[int(rng.integers(len(self.pieces)))]
            longest = max(1, min(len(piece), QUESTIONS // self.vocab_size))
            end = int(rng.integers(1, longest + 1))
            begin = int(rng.integers(0, len(piece) - end + 1)) if rng.random() < 0.5 else 0
            found.append(list(piece[begin : begin + end]))
        return found[:number]
