"""Adopted artifacts: a model or a tokenizer that something else made, checked and taken into the store.

The files enter the fingerprint by content, so that adopting one twice, from anywhere, is one artifact,
and the artifact itself can be adopted in place of the files it came from. Of a model whose family a
user's own file defines, the code of that file enters too. What lmexp cannot compute
exactly is refused here, with its reason, and never half-adopted.
"""

import fnmatch
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.graph.extensions import code_of
from lmexp.core.graph.stage import Metrics, StageRun, stage
from lmexp.core.values.config import Config, option
from lmexp.core.values.files import FileHasher
from lmexp.core.values.fingerprint import digest
from lmexp.core.values.foreign import file_inside, read_object
from lmexp.core.values.spelling import command
from lmexp.errors import DataError
from lmexp.models.families import NETWORKS
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", *_TOKENIZER_FILES)
_TIKTOKEN = ".tiktoken"
_REQUIRED = ("config.json", "model.safetensors", "tokenizer.json")
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.npz")
"""What files of weights are called; of these only `model.safetensors` is read."""


class AdoptedConfig(Config):
    """Where the files of an adopted artifact are."""

    path: str = option(by_content=True)
    """A directory in Hugging Face's layout: `tokenizer.json` for a tokenizer; with `config.json` and
    `model.safetensors` beside it for a model. For a tokenizer also a file of tiktoken, such as
    ``cl100k_base.tiktoken``."""


def _content(names: tuple[str, ...], config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    folder = Path(config.path)
    if not folder.is_dir():
        raise DataError(f"{folder} is no directory; give the one that holds {names[0]}.")
    found = {name: path for name in names if (path := file_inside(folder, name)) is not None}
    for name in names:
        if name in _REQUIRED and name not in found:
            raise DataError(_missing(folder, name))
    try:
        if "model.safetensors" in found:
            _check_header(found["model.safetensors"])
        return {name: hasher(path) for name, path in found.items()}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _missing(folder: Path, name: str) -> str:
    """Return why a folder cannot be adopted that lacks a file, and what to do."""
    others = sorted(n for n in os.listdir(folder) if any(fnmatch.fnmatch(n, kind) for kind in _WEIGHTS))
    if name == "tokenizer.json" and (folder / "vocab.json").exists():
        return f"{folder} holds no tokenizer.json, only vocab.json; {_converted(folder, 'AutoTokenizer')}."
    if name != "model.safetensors" or not others:
        return f"{folder} holds no {name}; give a directory in Hugging Face's layout."
    if any(n.endswith(".safetensors") for n in others):
        return (
            f"{folder} holds no model.safetensors, which lmexp reads in one piece, but {others[0]} "
            f"({len(others)} in all); {_converted(folder, 'AutoModelForCausalLM')}."
        )
    if others[0].startswith("pytorch_model"):
        return (
            f"{folder} holds no model.safetensors but {others[0]}, a pickle, which lmexp does not read; "
            f"{_converted(folder, 'AutoModelForCausalLM')}."
        )
    return (
        f"{folder} holds no model.safetensors but {others[0]}, which lmexp does not read; save its weights "
        f"by transformers' save_pretrained, under the names of Qwen3ForCausalLM or GPT2LMHeadModel."
    )


def _converted(folder: Path, kind: str) -> str:
    """Return the advice to save what `transformers` reads in `folder` as it saves today."""
    whole = ", max_shard_size='999GB'" if kind == "AutoModelForCausalLM" else ""
    path = repr(str(folder))
    code = f"from transformers import {kind} as A; A.from_pretrained({path}).save_pretrained({path}{whole})"
    return f"convert it by: {command(['python', '-c', code])}"


def _check_header(path: Path) -> None:
    """Raise `DataError` for weights whose header is damaged, before all of a file is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); save it again.") from None


def _tokenizer_content(config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    path = Path(config.path)
    if path.suffix == _TIKTOKEN and path.is_file():
        return {path.name: hasher(path)}
    return _content(_TOKENIZER_FILES, config, hasher)


def _model_content(config: AdoptedConfig, hasher: FileHasher) -> dict[str, str]:
    content = _content(_MODEL_FILES, config, hasher)
    family = read_object(Path(config.path) / "config.json").get("family")
    own = NETWORKS.file_of(family) if isinstance(family, str) else None
    if own is not None:  # what the weights compute is then decided by the user's own code
        content[own.name] = digest(list(code_of(own)))
    return content


def _label(config: AdoptedConfig) -> str:
    return Path(config.path).name


@stage("adopted_tokenizer", version=2, produces=TokenizerArtifact, content=_tokenizer_content, label=_label)
def adopted_tokenizer(run: StageRun, config: AdoptedConfig) -> Metrics:
    """Take a tokenizer into the store.

    Errors: `DataError` for one that loses text unseen.
    """
    given = Path(config.path)
    if given.name in run.content and given.suffix == _TIKTOKEN:
        return {"vocab_size": _converted_file(run, given)}
    _copy(run, config)
    with _named_as_given(run, config):
        return {"vocab_size": _tokenizer(run.out).vocab_size}


@stage("adopted_model", version=2, produces=ModelArtifact, content=_model_content, label=_label)
def adopted_model(run: StageRun, config: AdoptedConfig) -> Metrics:
    """Take a model and its tokenizer into the store.

    Errors: `DataError` for an architecture that lmexp does not compute, for damaged files, for weights
    that are not finite, and for a tokenizer with more ids than the model.
    """
    from lmexp.models.folder import load_model
    from lmexp.models.network import Network

    _copy(run, config)
    with _named_as_given(run, config):
        tokenizer, model = _tokenizer(run.out), load_model(run.out)
    if not isinstance(model, Network):
        raise DataError(f"{config.path} is of the family {model.family}, which is not adopted; make it here.")
    if tokenizer.vocab_size > model.vocab_size:
        raise DataError(
            f"{config.path}: the tokenizer has {tokenizer.vocab_size} ids and the model {model.vocab_size}; "
            f"they do not belong together."
        )
    longest = {} if model.context_length is None else {"context_length": model.context_length}
    return {"parameters": model.num_parameters, "vocab_size": model.vocab_size, **longest}


def _converted_file(run: StageRun, path: Path) -> int:
    """Write a file of tiktoken as a tokenizer.json, and return its vocabulary size."""
    from lmexp.tokenizer.foreign.tiktoken_file import read_tiktoken

    tokenizer = read_tiktoken(path)
    if FileHasher()(path) != run.content[path.name]:
        raise DataError(f"{path} changed while being read; give the command again.")
    tokenizer.save(run.out)
    return tokenizer.vocab_size


def _tokenizer(folder: Path) -> "Tokenizer":
    from lmexp.tokenizer.folder import load_tokenizer

    return load_tokenizer(folder)


def _copy(run: StageRun, config: AdoptedConfig) -> None:
    """Copy the files that the plan saw. Errors: `DataError` for one that has changed since."""
    hasher = FileHasher()
    for name in _MODEL_FILES:
        if name not in run.content:
            continue
        path = file_inside(Path(config.path), name)
        if path is not None:
            shutil.copyfile(path, run.out / name)
        if path is None or hasher(run.out / name) != run.content[name]:
            raise DataError(f"{config.path}/{name} changed while being read; give the command again.")


@contextmanager
def _named_as_given(run: StageRun, config: AdoptedConfig) -> Iterator[None]:
    """Let errors about the copied files name the files that the user gave."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error).replace(str(run.out), config.path)) from None
