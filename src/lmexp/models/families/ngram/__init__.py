"""The n-gram: counted, smoothed, and never trained."""

from lmexp.models.families.ngram.config import NGramConfig

__all__ = ["NGramConfig"]
