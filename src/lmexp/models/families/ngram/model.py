"""An n-gram model: counts, and what a kind of smoothing makes of them (`smoothing` states the formulas)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.adjusted import Adjusted
from lmexp.models.families.ngram.config import NGramConfig
from lmexp.models.families.ngram.counts import count
from lmexp.models.families.ngram.deleted import deleted_interpolation
from lmexp.models.families.ngram.lookups import Lookups
from lmexp.models.families.ngram.smoothing import kept, smoothed


class NGram(Lookups):
    """An n-gram model. Made by `NGram.fit`, or from the counts of one that was."""

    def __init__(
        self,
        config: NGramConfig,
        counts: Adjusted,
        *,
        bos_token_id: int,
        interpolation_weights: Sequence[float] = (),
    ) -> None:
        self.config = config
        self.counts = counts
        self.interpolation_weights = tuple(interpolation_weights)
        """Of orders 1, 2 and so on, given or fitted, of `jelinek_mercer` alone."""
        super().__init__(
            counts.keys,
            smoothed(config, counts, self.interpolation_weights),
            bos_token_id=bos_token_id,
            cache=config.cache,
        )

    @property
    def is_normalized(self) -> bool:
        """Whether the probabilities of all tokens sum to 1."""
        return self.config.is_normalized

    @property
    def facts(self) -> Mapping[str, float]:
        """What was estimated: discounts and how many orders have fixed ones, or weights, by order."""
        found: dict[str, float] = {
            f"discount_{n}" + (f"_{i}" if len(each.values) > 1 else ""): value
            for n, each in enumerate(self.smoothed.discounts, start=1)
            for i, value in enumerate(each.values, start=1)
        }
        if found:
            found["fixed_discounts"] = sum(each.is_fixed for each in self.smoothed.discounts)
        for n, weight in enumerate(self.interpolation_weights, start=1):
            found[f"interpolation_weight_{n}"] = weight
        return found

    @property
    def is_bound(self) -> bool:
        """Whether the nats that it gives a text are an upper bound: they are its own."""
        return self.config.is_bound

    @classmethod
    def fit(
        cls,
        config: NGramConfig,
        documents: Iterable[NDArray[np.integer]],
        vocab_size: int,
        bos_token_id: int,
        folder: Path | None = None,
    ) -> Self:
        """Count `documents`, as `counts.count` reads them, and smooth. Errors: `DataError`, as there.

        A text past memory is sorted in `folder`, which is empty and must stay as long as the model.
        """
        counts = count(
            documents, order=config.order, vocab_size=vocab_size, bos_token_id=bos_token_id, folder=folder
        )
        weights = config.interpolation_weights
        if config.smoothing == "jelinek_mercer" and not weights:
            weights = deleted_interpolation(counts, bos_token_id)
        return cls(
            config,
            kept(config.smoothing, counts),
            bos_token_id=bos_token_id,
            interpolation_weights=weights,
        )


MODEL = NGram
