"""What a tokenizer does to text that did not shape it, and what it loses of it.

Of a tokenizer that says that it is lossless, texts come back from the bytes that each id stands for, all of a
batch at once, and are compared with what was encoded: every document is checked, not a sample. Of any other
one what is lost is counted in every document.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.tokenizer.encoders import EncodedTexts, TextEncoder, text_buffers
from lmexp.tokenizer.lost import Losses
from lmexp.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_TOKENS = 20
_TOKENS_AT_ONCE = 2**20


class RoundTripError(DataError):
    """A text that is not the text of its own tokens."""

    def __init__(self, index: int) -> None:
        super().__init__(f"Text {index} is not what its tokens decode to; the tokenizer loses text.")
        self.index = index
        """Position of the text among all that were read."""


def tokenizer_report(
    tokenizer: Tokenizer, encoder: TextEncoder, batches: Iterable["pa.StringArray"]
) -> dict[str, Any]:
    """Encode held-out texts, check each round trip and return what the tokens are like.

    `texts`, `bytes`, `tokens`, `bytes_per_token`; `vocab_used`, the share of ids that occur, the
    end-of-text token apart; `unused_tokens`, how many do not; `longest_tokens`, with id, text and
    bytes of each. Of a tokenizer that is not lossless also what `Losses.report` says.
    Errors: `RoundTripError` for the first text that does not come back from a tokenizer that is.
    """
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    losses = Losses(tokenizer)
    texts = num_bytes = 0
    for batch in batches:
        encoded = encoder.encode(batch)
        if tokenizer.is_lossless:
            wrong = first_changed(tokenizer, batch, encoded)
            if wrong is not None:
                raise RoundTripError(texts + wrong)
        else:
            for text in batch.to_pylist():
                losses.add(text)
        counts += np.bincount(encoded.ids, minlength=tokenizer.vocab_size)
        texts += len(batch)
        num_bytes += int(encoded.num_bytes.sum())
    tokens, unused = int(counts.sum()), int((np.delete(counts, tokenizer.eos_token_id) == 0).sum())
    sizes = tokenizer.token_bytes
    longest = np.argsort(-sizes, kind="stable")[:_LONGEST_TOKENS].tolist()
    return {
        "texts": texts,
        "bytes": num_bytes,
        "tokens": tokens,
        "bytes_per_token": num_bytes / max(1, tokens),
        "vocab_used": 1 - unused / (tokenizer.vocab_size - 1),
        "unused_tokens": unused,
        "longest_tokens": [{"id": i, "text": tokenizer.decode([i]), "bytes": int(sizes[i])} for i in longest],
        **({} if tokenizer.is_lossless else losses.report(num_bytes)),
    }


def first_changed(tokenizer: Tokenizer, texts: "pa.StringArray", encoded: EncodedTexts) -> int | None:
    """Return the index of the first text that is not what its tokens stand for; None if all are."""
    offsets, data = text_buffers(texts)
    sizes = np.concatenate([[0], np.cumsum(tokenizer.token_bytes[encoded.ids])])
    changed = np.flatnonzero(sizes[np.cumsum(encoded.num_tokens)] != offsets[1:])[:1].tolist()
    for i in range(0, len(encoded.ids), _TOKENS_AT_ONCE):
        decoded = _bytes_of(tokenizer, encoded.ids[i : i + _TOKENS_AT_ONCE])
        expected = data[sizes[i] : sizes[i] + len(decoded)]
        wrong = np.flatnonzero(decoded[: len(expected)] != expected)
        if len(wrong):
            changed.append(int(np.searchsorted(offsets[1:], sizes[i] + wrong[0], side="right")))
            break
    return min(changed, default=None)


def _bytes_of(tokenizer: Tokenizer, ids: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the bytes that `ids` stand for, one after another."""
    sizes = tokenizer.token_bytes
    table = np.frombuffer(b"".join(tokenizer.token_contents), dtype=np.uint8)
    lengths = sizes[ids]
    begins = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    return table[np.repeat((np.cumsum(sizes) - sizes)[ids], lengths) + place]
