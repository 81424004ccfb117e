"""The ARPA format of back-off models, written from an n-gram; `arpa_reading` reads it.

    \\data\\
    ngram 1=<how many>

    \\1-grams:
    <log10 p> <tab> <word> <tab> <log10 back-off>
    ...
    \\end\\

p is that of the last word after those before it, with all orders interpolated; the back-off of c is the
factor with which p(w | c') stands for p(w | c) where c w is not listed, and is left out at the highest order.
An interpolated model is written exactly: its listed n-grams are those that it knows, and its factor of what
is below is the back-off. One whose orders are not interpolated cannot be.

The token that begins and ends documents is two words: `<s>` first in an n-gram, `</s>` last. `<s>` alone is
never predicted, and its 0 in the list of unigrams says nothing, as in KenLM's files.

Source: Doug Paul's format as SRILM (ngram-format) and KenLM read it.
"""

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from lmexp.errors import DataError
from lmexp.models.families.ngram.grams import Ints, find
from lmexp.models.families.ngram.model import NGram
from lmexp.models.families.ngram.smoothing import Floats

BEGIN, END = "<s>", "</s>"
_LINES_AT_ONCE = 2**17


def write_arpa(model: NGram, words: Sequence[str], path: Path) -> None:
    """Write a model whose id i is `words[i]` into `path`, compressed where that ends with .gz.

    What the id that begins documents is called is not read.
    Errors: `DataError` for a smoothing that is not interpolated, and for words that are not one for each id,
    are empty, hold white space, come twice or are `<s>` or `</s>`.
    """
    names = _checked(model, words)
    with _written(path) as file:
        file.write("\\data\\\n")
        for n, size in enumerate([model.vocab_size + 1, *map(len, model.keys)], start=1):
            file.write(f"ngram {n}={size}\n")
        _write_unigrams(file, model, names)
        probs, suffixes = model.smoothed.unigram, np.arange(model.vocab_size)
        contexts: list[Ints] = []
        for n, (keys, order) in enumerate(zip(model.keys, model.smoothed.orders, strict=True), start=2):
            context, token = np.divmod(keys, model.vocab_size)
            below = token if n == 2 else find(model.keys[n - 3], suffixes[context], token, model.vocab_size)
            probs = order.left_over[context] * probs[below] + order.own[:-1]
            suffixes = below
            file.write(f"\n\\{n}-grams:\n")
            back = model.smoothed.orders[n - 1].left_over[:-1] if n < model.order else None
            contexts.append(keys)
            for lines in _lines(probs, back, contexts, names, model.vocab_size):
                file.write(lines)
        file.write("\n\\end\\\n")


def _checked(model: NGram, words: Sequence[str]) -> list[str]:
    """Return the words of all ids, each a name of its own."""
    if model.config.smoothing in ("add_k", "maximum_likelihood", "stupid_backoff"):
        raise DataError(
            f"The ARPA format holds interpolated models, and smoothing={model.config.smoothing} is none; use "
            f"modified_kneser_ney, kneser_ney, absolute_discounting or jelinek_mercer."
        )
    if len(words) != model.vocab_size:
        raise DataError(
            f"The model has {model.vocab_size} ids, was given {len(words)} words; are they of its tokenizer?"
        )
    names = [*words]
    names[model.bos_token_id] = END
    if len(set(names)) != len(names) or BEGIN in names:
        twice, _ = Counter([BEGIN, *names]).most_common(1)[0]
        raise DataError(f"The word {twice!r} stands for two ids; in an ARPA file each has its own.")
    bad = next((word for word in names if not word or word.split() != [word]), None)
    if bad is not None:
        raise DataError(f"The word {bad!r} is empty or holds white space, which parts words in an ARPA file.")
    return names


def _written(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "wt", compresslevel=6, encoding="utf-8", newline="\n")
    return path.open("w", encoding="utf-8", newline="\n")


def _write_unigrams(file: IO[str], model: NGram, names: Sequence[str]) -> None:
    logs = np.log10(model.smoothed.unigram).tolist()
    backs = [0.0] * len(names)
    if model.order > 1:
        backs = np.log10(model.smoothed.orders[0].left_over[:-1]).tolist()
    file.write("\n\\1-grams:\n")
    rows = [(log, name, back) for log, name, back in zip(logs, names, backs, strict=True)]
    rows[model.bos_token_id] = (logs[model.bos_token_id], END, 0.0)
    rows.append((0.0, BEGIN, backs[model.bos_token_id]))
    for log, name, back in rows:
        file.write(f"{log:.9g}\t{name}" + (f"\t{back:.9g}\n" if model.order > 1 else "\n"))


def _lines(
    probs: Floats, backs: Floats | None, keys: Sequence[Ints], names: Sequence[str], vocab_size: int
) -> Iterator[str]:
    """Yield the lines of the n-grams of one order, many at a time; `keys` are all orders' up to it."""
    for begin in range(0, len(probs), _LINES_AT_ONCE):
        some = slice(begin, begin + _LINES_AT_ONCE)
        left, columns = keys[-1][some], []
        for below in [*keys[-2::-1], None]:
            left, token = np.divmod(left, vocab_size)
            columns.append([names[i] for i in token.tolist()])
            left = left if below is None else below[left]
        columns.append([BEGIN if names[i] == END else names[i] for i in left.tolist()])
        texts = map(" ".join, zip(*reversed(columns), strict=True))
        logs = np.log10(probs[some]).tolist()
        if backs is None:
            yield "".join(f"{log:.9g}\t{text}\n" for log, text in zip(logs, texts, strict=True))
        else:
            last = np.log10(backs[some]).tolist()
            rows = zip(logs, texts, last, strict=True)
            yield "".join(f"{log:.9g}\t{text}\t{back:.9g}\n" for log, text, back in rows)
