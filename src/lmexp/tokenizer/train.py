"""Trains byte-level BPE (Sennrich et al., arXiv 1508.07909) as GPT-2 has it.

Text is split by GPT-2's pattern into words that carry their leading space, each byte is written as
one character, and the most frequent adjacent pair is merged until the vocabulary is full. All 256
bytes are in the vocabulary, so that every text can be encoded. GPT-2's pattern is kept as it is
because other programs recognise it by what it does; `digits=split` takes every digit apart before it.

The result is a pure function of the texts and their order of counting does not matter: equal
counts are resolved by the pair's ids.
"""

from collections.abc import Iterator

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.roles import END_OF_TEXT
from lmexp.tokenizer.structure import byte_characters


def train_byte_bpe(texts: Iterator[str], *, vocab_size: int, digits: str = "keep") -> LibraryTokenizer:
    """Train on `texts`, read once.

    ``<|endoftext|>`` has id 0, the 256 bytes follow, then the merges. A small corpus may run out
    of pairs before `vocab_size`; the tokenizer's own says what was reached.
    """
    backend = _empty_backend(models.BPE())
    if digits == "split":
        apart = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([apart, backend.pre_tokenizer])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    return LibraryTokenizer(backend)


def tokenizer_of_merges(merges: list[tuple[str, str]]) -> LibraryTokenizer:
    """Return the tokenizer that training would give if it found `merges`, in order.

    Errors: `ValueError` where two merges give one token.
    """
    tokens = [END_OF_TEXT, *sorted(byte_characters()), *(a + b for a, b in merges)]
    if len(set(tokens)) != len(tokens):
        raise ValueError("two merges give one token")
    backend = _empty_backend(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    backend.add_special_tokens([END_OF_TEXT])
    return LibraryTokenizer(backend)


def _empty_backend(model: models.Model) -> Backend:
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    return backend
