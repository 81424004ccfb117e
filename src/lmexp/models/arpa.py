"""ARPA files of models, for those who do not know families: the n-gram's format, written and read."""

from collections.abc import Sequence
from pathlib import Path

from lmexp.errors import DataError
from lmexp.models.families.ngram.arpa_reading import ArpaModel, read_arpa
from lmexp.models.families.ngram.arpa_writing import write_arpa as _write
from lmexp.models.families.ngram.model import NGram
from lmexp.models.interface import LanguageModel

__all__ = ["ArpaModel", "read_arpa", "write_arpa"]


def write_arpa(model: LanguageModel, words: Sequence[str], path: Path) -> None:
    """Write an n-gram whose id i is `words[i]` into `path`, compressed where that ends with .gz.

    Errors: `DataError` for a model of another family, for a smoothing that is not interpolated, and for words
    that an ARPA file cannot hold.
    """
    if not isinstance(model, NGram):
        raise DataError(
            f"An ARPA file lists n-grams, and this model is of the family {model.family}; give an n-gram."
        )
    _write(model, words, path)
