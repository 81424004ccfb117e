"""lmexp: repeatable language-model experiments, from raw text to a table of measured results."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmexp.core.runs import Run
    from lmexp.models.gpt import GPT
    from lmexp.tokenizer.tokenizer import Tokenizer

__all__ = ["load_model", "load_tokenizer", "run_experiment"]


def load_model(path: str | Path) -> "GPT":
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
    from lmexp.core.compose import compose
    from lmexp.core.session import run_composition

    return run_composition(compose(list(overrides)), quiet=quiet).run
