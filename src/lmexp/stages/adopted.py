"""Adopted artifacts: a model or a tokenizer that something else made, checked and taken into the store.

The files enter the fingerprint by content, so that adopting one twice, from anywhere, is one artifact,
and the artifact itself can be adopted in place of the files it came from. What lmexp cannot compute
exactly is refused here, with its reason, and never half-adopted.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.config import Config, option
from lmexp.core.files import FileHasher
from lmexp.core.stage import Metrics, StageRun, stage
from lmexp.errors import DataError
from lmexp.stages.pretrain import ModelArtifact
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", *_TOKENIZER_FILES)
_PROBES = (
    "def f(x):\n\treturn x  # two  spaces\r\n",
    "naïve façade, Übung, 漢字かな, Ελληνικά, עברית, 👩‍👩‍👧",
    "e\u0301 and \u00e9, \ufb01, \u2126, \u200b, \x00\x7f",
    "   leading and trailing   ",
)
"""Texts that a tokenizer which normalises, trims or lacks bytes does not give back."""


class AdoptedConfig(Config):
    """Where the files of an adopted artifact are."""

    path: str = option(by_content=True)
    """A directory in Hugging Face's layout: `tokenizer.json` for a tokenizer; with `config.json` and
    `model.safetensors` beside it for a model."""


def _content(names: tuple[str, ...], config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    folder = Path(config.path)
    if not folder.is_dir():
        raise DataError(f"{folder} is no directory; give the one that holds {names[0]}.")
    found = [name for name in names if (folder / name).is_file()]
    if names[0] not in found:
        raise DataError(f"{folder} holds no {names[0]}; give a directory in Hugging Face's layout.")
    return {name: hasher(folder / name) for name in found}


def _tokenizer_content(config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    return _content(_TOKENIZER_FILES, config, hasher)


def _model_content(config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    return _content(_MODEL_FILES, config, hasher)


def _label(config: AdoptedConfig) -> str:
    return Path(config.path).name


@stage("adopted_tokenizer", version=1, produces=TokenizerArtifact, content=_tokenizer_content, label=_label)
def adopted_tokenizer(run: StageRun, config: AdoptedConfig) -> Metrics:
    """Take a byte-level tokenizer into the store.

    Errors: `DataError` for one that does not give every text back.
    """
    _copy(run, config)
    return {"vocab_size": _checked(run.out).vocab_size}


@stage("adopted_model", version=1, produces=ModelArtifact, content=_model_content, label=_label)
def adopted_model(run: StageRun, config: AdoptedConfig) -> Metrics:
    """Take a model and its tokenizer into the store.

    Errors: `DataError` for an architecture that lmexp does not compute, for damaged files, and for
    a tokenizer with more ids than the model.
    """
    from lmexp.models.folder import load_model

    _copy(run, config)
    model, tokenizer = load_model(run.out), _checked(run.out)
    if tokenizer.vocab_size > model.vocab_size:
        raise DataError(
            f"{config.path}: the tokenizer has {tokenizer.vocab_size} ids and the model {model.vocab_size}; "
            f"they do not belong together."
        )
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocab_size": model.vocab_size,
        "context_length": model.config.context_length,
    }


def _copy(run: StageRun, config: AdoptedConfig) -> None:
    """Copy the files that the plan saw. Errors: `DataError` for one that has changed since."""
    hasher = FileHasher()
    for name, expected in run.content.items():
        shutil.copyfile(Path(config.path) / name, run.out / name)
        if hasher(run.out / name) != expected:
            raise DataError(f"{config.path}/{name} changed while being read; give the command again.")


def _checked(folder: Path) -> "Tokenizer":
    """Return the tokenizer in `folder`. Errors: `DataError` for one that changes a text."""
    from lmexp.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder)
    for text in _PROBES:
        ids = tokenizer.encode(text)
        if tokenizer.decode(ids) != text or int(tokenizer.token_bytes[ids].sum()) != len(text.encode()):
            raise DataError(
                f"The tokenizer gives {text!r} back as {tokenizer.decode(ids)!r}; only byte-level tokenizers "
                f"that give every text back can be adopted."
            )
    return tokenizer
