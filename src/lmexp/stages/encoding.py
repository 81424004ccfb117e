"""The encoder of a corpus: the fastest one that gives its tokenizer's ids."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmexp.stages.corpus import CorpusArtifact

if TYPE_CHECKING:
    from lmexp.tokenizer.encoders import TextEncoder
    from lmexp.tokenizer.tokenizer import Tokenizer

_SAMPLE_TEXTS = 1000
_SAMPLE_CHARACTERS = 2**19


def corpus_encoder(tokenizer: "Tokenizer", corpus: CorpusArtifact, wanted: str = "auto") -> "TextEncoder":
    """Return an encoder that was compared with `tokenizer` on the first texts of the corpus."""
    from lmexp.tokenizer.encoders import choose_encoder

    return choose_encoder(tokenizer, list(_sample(corpus)), wanted)


def _sample(corpus: CorpusArtifact) -> Iterator[str]:
    """Yield the first texts of the corpus, the last of them cut."""
    left = _SAMPLE_CHARACTERS
    for batch in corpus.text_batches("train"):
        for text in batch[:_SAMPLE_TEXTS].to_pylist():
            yield text[:left]
            left -= len(text)
            if left <= 0:
                return
        return
