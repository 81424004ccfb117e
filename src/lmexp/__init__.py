"""lmexp: repeatable language-model experiments, from raw text to a table of measured results."""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    del sys.path[0]  # the current directory, whose files `python -m` would import for libraries

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lmexp.core.records.runs import Run
    from lmexp.generation.next_token import NextTokens
    from lmexp.models.arpa import ArpaModel
    from lmexp.models.interface import LanguageModel
    from lmexp.scoring.texts import TextScore
    from lmexp.tokenizer.spelling import Token
    from lmexp.tokenizer.tokenizer import Tokenizer

__all__ = [
    "curve",
    "generate",
    "load_model",
    "load_tokenizer",
    "next_tokens",
    "run_experiment",
    "run_sweep",
    "score",
    "tokenize",
]


def generate(model: "LanguageModel", tokenizer: "Tokenizer", prompt: str, **sampling: "Any") -> str:
    """Return the continuation of `prompt`, without it; an empty prompt begins a document.

    `sampling` has the keys of `lmexp.generation.config.SamplingConfig`: max_new_tokens, temperature,
    top_k, top_p, seed.

    Errors: `ConfigError` for a key or a value, `DataError` for a prompt or a tokenizer that does not fit.
    """
    from lmexp.core.values.config import build
    from lmexp.generation.config import SamplingConfig
    from lmexp.generation.generate import generate_text

    return generate_text(model, tokenizer, prompt, build(SamplingConfig, sampling))


def next_tokens(
    model: "LanguageModel",
    tokenizer: "Tokenizer",
    prompt: str = "",
    *,
    limit: int | None = 20,
    **sampling: "Any",
) -> "NextTokens":
    """Return the `limit` most likely tokens after `prompt` with their probabilities; None gives all.

    `sampling` has the keys temperature, top_k and top_p, which change what is drawn.

    Errors: `ConfigError` for a key or a value, `DataError` for a prompt, a tokenizer that does not fit, or a
    model that gives no next token a probability.
    """
    from lmexp.core.values.config import build
    from lmexp.generation.config import SamplingConfig
    from lmexp.generation.next_token import next_tokens as found

    return found(model, tokenizer, prompt, build(SamplingConfig, sampling), limit=limit)


def score(
    model: "LanguageModel", tokenizer: "Tokenizer", texts: "str | Sequence[str]", *, prompt: str = ""
) -> "list[TextScore]":
    """Return what the model says of each text after `prompt`: its log-probability, token by token.

    Errors: `DataError` for a text that is none, a tokenizer that does not fit, or a model that gives no next
    token a probability.
    """
    from lmexp.scoring.texts import score_texts

    return score_texts(model, tokenizer, [texts] if isinstance(texts, str) else texts, prompt=prompt)


def tokenize(tokenizer: "Tokenizer", text: str) -> "list[Token]":
    """Return the tokens of `text`: of each its id, how it is shown and its bytes.

    Errors: `DataError` for a text that is no Unicode.
    """
    from lmexp.tokenizer.spelling import tokens_of

    return tokens_of(tokenizer, text)


def load_model(path: str | Path, *, extensions: "Sequence[str | Path]" = ()) -> "LanguageModel":
    """Return the model in a model's directory, on the CPU, to be evaluated.

    `extensions` are the files that define families of your own; where none are named, those of the last run
    in this process hold.

    Errors: `DataError` for a model that cannot be read, `ConfigError` for an extension.
    """
    from lmexp.models.folder import load_model as load

    if extensions:
        from lmexp.core.graph.extensions import activate

        activate(extensions)
    return load(Path(path))


def load_tokenizer(path: str | Path) -> "Tokenizer":
    """Return the tokenizer in the directory of a tokenizer or pretrain artifact."""
    from lmexp.tokenizer.folder import load_tokenizer as load

    return load(Path(path))


def write_arpa(model: "LanguageModel", tokenizer: "Tokenizer", path: str | Path) -> None:
    """Write an n-gram as an ARPA file, which KenLM and SRILM read; compressed where `path` ends with .gz.

    Errors: `DataError` for another family, for a smoothing that is not interpolated, and for a tokenizer
    whose tokens are not the model's or hold white space.
    """
    from lmexp.models.arpa import write_arpa as write

    write(model, tokenizer.token_strings, Path(path))


def read_arpa(path: str | Path) -> "ArpaModel":
    """Return the back-off model in an ARPA file, plain or compressed, with the `words` of its ids.

    Errors: `DataError` naming the line that is damaged.
    """
    from lmexp.models.arpa import read_arpa as read

    return read(Path(path))


def run_experiment(
    overrides: "Sequence[str]" = (),
    *,
    config_name: str = "config",
    config_dir: str | None = None,
    quiet: bool = False,
) -> "Run":
    """Run one experiment, as ``lmexp run`` with the same words does.

    Errors: `lmexp.errors.LmexpError`, whose `exit_code` is the one of the command.
    """
    from lmexp.experiments import run_experiment as run

    return run(overrides, config_name=config_name, config_dir=config_dir, quiet=quiet)


def run_sweep(
    overrides: "Sequence[str]",
    *,
    config_name: str = "config",
    config_dir: str | None = None,
    quiet: bool = False,
) -> "list[Run]":
    """Run every point of a sweep, as ``lmexp run -m`` with the same words does, and return the runs in order.

    Errors: `lmexp.errors.LmexpError` of the first point that failed, after the others have run.
    """
    from lmexp.experiments import run_sweep as run

    return run(overrides, config_name=config_name, config_dir=config_dir, quiet=quiet)


def curve(run: "Run", stage: str = "pretrain") -> "Any":
    """Return what a stage logged: a pandas data frame by step, or a list of dicts where there is no pandas.

    Errors: `ConfigError` for a stage without a curve.
    """
    from lmexp.experiments import curve as points

    return points(run, stage)
