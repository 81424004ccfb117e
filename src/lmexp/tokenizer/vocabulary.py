"""Makes the tokenizers whose vocabulary is counted: words between white space, and Unicode characters.

``<unk>`` has id 0, the vocabulary follows from the most frequent on, equal counts in the order in which they
first occur, and ``<|endoftext|>`` comes last, outside of the words: no text can become it, and a word that
reads like it is unknown.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from lmexp.errors import DataError
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from lmexp.tokenizer.structure import split_words


def word_tokenizer(
    texts: Iterator[str], *, vocab_size: int | None, min_count: int | None
) -> LibraryTokenizer:
    """Return the tokenizer of the words of `texts`, at most `vocab_size` ids, each `min_count` times there.

    None is no limit to the ids; of counts it is 1 where ``<unk>`` is a word of the texts, and 2 elsewhere.
    Errors: `DataError` where no word is left.
    """
    counts = _counted(texts, split_words)
    if min_count is None:
        min_count = 1 if UNKNOWN in counts else 2
    vocab = _vocabulary(counts, vocab_size, min_count, "word")
    backend = Backend(models.WordLevel(vocab, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _finished(backend)


def character_tokenizer(texts: Iterator[str], *, vocab_size: int | None, min_count: int) -> LibraryTokenizer:
    """Return the tokenizer of the characters (code points) of `texts`; as `word_tokenizer`.

    It is BPE without a merge, which splits a text into its characters fastest.
    """
    vocab = _vocabulary(_counted(texts, iter), vocab_size, min_count, "character")
    backend = Backend(models.BPE(vocab, [], unk_token=UNKNOWN))
    backend.decoder = decoders.Fuse()
    return _finished(backend)


def _counted(texts: Iterator[str], pieces: Callable[[str], Iterable[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(pieces(text))
    return counts


def _vocabulary(counts: Counter[str], vocab_size: int | None, min_count: int, what: str) -> dict[str, int]:
    """Return the ids of ``<unk>`` and of what is counted often enough."""
    room = None if vocab_size is None else vocab_size - 2
    names = [name for name in counts if name not in (UNKNOWN, END_OF_TEXT)]
    ranked = sorted(names, key=lambda name: -counts[name])  # a stable sort
    kept = [name for name in ranked if counts[name] >= min_count][:room]
    if not kept:
        raise DataError(
            f"no {what} of the train split occurs {min_count} times, so that there is no vocabulary; give "
            f"more text or set tokenizer.min_count lower."
        )
    return {name: i for i, name in enumerate([UNKNOWN, *kept])}


def _finished(backend: Backend) -> LibraryTokenizer:
    backend.add_special_tokens([UNKNOWN, END_OF_TEXT])
    return LibraryTokenizer(backend, {"unk_token": UNKNOWN})
