"""lmexp: repeatable language-model experiments, from raw text to a table of measured results."""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[0]  # for `python -m`, where files of the current directory would be imported for libraries

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lmexp.core.runs import Run
    from lmexp.models.language_model import LanguageModel
    from lmexp.tokenizer.tokenizer import Tokenizer

__all__ = ["generate", "load_model", "load_tokenizer", "run_experiment"]


def generate(model: "LanguageModel", tokenizer: "Tokenizer", prompt: str, **sampling: "Any") -> str:
    """Return the continuation of `prompt`, without it; an empty prompt begins a document.

    `sampling` has the keys of `lmexp.generation.config.SamplingConfig`: max_new_tokens, temperature,
    top_k, top_p, seed.

    Errors: `ConfigError` for a key or a value, `DataError` for a prompt or a tokenizer that does not fit.
    """
    from lmexp.core.config import build
    from lmexp.generation.config import SamplingConfig
    from lmexp.generation.generate import generate_text

    return generate_text(model, tokenizer, prompt, build(SamplingConfig, sampling))


def load_model(path: str | Path) -> "LanguageModel":
    """Return the model in the directory of a pretrain artifact, on the CPU, in evaluation mode."""
    from lmexp.models.folder import load_model as load

    return load(Path(path)).eval()


def load_tokenizer(path: str | Path) -> "Tokenizer":
    """Return the tokenizer in the directory of a tokenizer or pretrain artifact."""
    from lmexp.tokenizer.tokenizer import Tokenizer

    return Tokenizer.load(Path(path))


def run_experiment(overrides: "Sequence[str]", *, quiet: bool = False) -> "Run":
    """Run one experiment, as ``python -m lmexp.run`` with the same overrides does.

    Errors: `lmexp.errors.LmexpError`, whose `exit_code` is the one of the command.
    """
    from lmexp.analysis.report import report_at_end
    from lmexp.core.compose import compose
    from lmexp.core.session import run_composition

    return run_composition(compose(list(overrides)), quiet=quiet, at_end=report_at_end).run
