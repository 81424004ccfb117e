"""The true model of `known` text as a scorer: what the best possible model would say.

The probability of a token, given the text before it, is that of its characters; the figures of a
document's tokens add up to the logarithm of the probability of its text, whatever the tokenizer. A
model whose tokenizer can spell a text in several ways gives the usual spelling at most what it gives
the text, so its regret includes what it spends on the others.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmexp.known.process import Process, log_probs
from lmexp.models.interface import Pair
from lmexp.scoring.pairs import PairScorer
from lmexp.tokenizer.tokenizer import Tokenizer


class TrueScorer(PairScorer):
    """Scores with a process. Contexts must begin where their document does."""

    def __init__(self, process: Process, tokenizer: Tokenizer) -> None:
        self.context_length: int | None = None
        self._process = process
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}

    def score(self, pairs: Sequence[Pair]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each continuation.

        Errors: `DataError` for a text that the process cannot draw.
        """
        results = []
        for context, continuation in pairs:
            texts = [self._text(i) for i in (*context, *continuation)]
            ends = np.cumsum([0, *map(len, texts)])
            total = np.concatenate([[0.0], np.cumsum(log_probs(self._process, "".join(texts)))])[ends]
            results.append(np.diff(total)[len(context) :])
        return results

    def _text(self, token: int) -> str:
        if token not in self._texts:
            self._texts[token] = self._tokenizer.decode([token])
        return self._texts[token]
