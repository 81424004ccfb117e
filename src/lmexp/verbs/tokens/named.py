"""Which tokenizer and which texts the words of a command line mean."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.errors import ConfigError, nearest
from lmexp.verbs.words import find_record, number_or_text, split_store

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer


def tokenizer_of(what: str, stores: Sequence[str], learnt: Sequence[str] | None) -> "Tokenizer":
    """Return the tokenizer that a word names: by a directory, an artifact, a run, or a kind.

    A kind, ``word`` or ``byte_bpe:300`` with its vocab_size, is made here: of the texts `learnt`.
    Errors: `ConfigError` for a name that is none of these, with the nearest one.
    """
    from lmexp import load_tokenizer
    from lmexp.tokenizer.config import TOKENIZERS
    from lmexp.tokenizer.folder import is_tokenizer

    kind, colon, size = what.partition(":")
    if is_tokenizer(Path(what)):
        return load_tokenizer(what)
    if kind in TOKENIZERS.kinds:
        return _made(kind, size if colon else None, learnt)
    try:
        return load_tokenizer(_in_store(what, stores, "tokenizer", is_tokenizer))
    except ConfigError:
        near = nearest(kind, TOKENIZERS.kinds)
        if near or what.startswith((".", "/")):  # a directory, which needs no store
            raise ConfigError(
                f"{what!r} is no tokenizer{near}; give a run, an artifact, a directory with one, or "
                f"one of the kinds {', '.join(TOKENIZERS.kinds)}."
            ) from None
        raise


def corpus_texts(what: str, stores: Sequence[str], limit: int) -> dict[str, list[str]]:
    """Return the first `limit` texts of a corpus's validation split, by their sources.

    `what` is a run or a corpus artifact. Errors: `ConfigError` for a name that is neither.
    """
    from lmexp.corpus.shards import iter_documents

    found: dict[str, list[str]] = {}
    folder = _in_store(what, stores, "corpus", lambda path: (path / "card.json").is_file())
    for document in islice(iter_documents(folder, "validation"), limit):
        found.setdefault(str(document.metadata.get("source", "")), []).append(document.text)
    return found


def _in_store(what: str, stores: Sequence[str], noun: str, is_one: Callable[[Path], bool]) -> Path:
    """Return the artifact that a word names, or the one of a run, that is a `noun`."""
    from lmexp.core.records.runs import find_run

    _, store = split_store(stores)
    record = find_record(store, what)
    if record is not None and is_one(record.path):
        return record.path
    if record is not None or "/" in what:
        names = [f"{r.stage}/{r.name}" for r in store.records() if is_one(r.path)]
        raise ConfigError(f"{what} is no {noun}{nearest(what, names)}; see lmexp ls.")
    run = find_run(store, what)
    folders = {run.artifact(stage) for stage in run.stages if stage.endswith(noun)}
    holding = [folder for folder in sorted(folders) if is_one(folder)]
    if len(holding) != 1:
        raise ConfigError(f"run {what} has {len(holding)} artifacts with a {noun}; name one, see lmexp ls.")
    return holding[0]


def _made(kind: str, size: str | None, learnt: Sequence[str] | None) -> "Tokenizer":
    from lmexp.core.values.config import build
    from lmexp.tokenizer.config import TOKENIZERS, TokenizerConfig

    values = {} if size is None else {"vocab_size": number_or_text(size)}
    config: TokenizerConfig = build(TOKENIZERS.kinds[kind], values)
    if learnt is None and kind != "byte":
        raise ConfigError(f"a tokenizer of the kind {kind} is learnt from text; give it with --learn FILE.")
    return config.make(iter(learnt or ()))
