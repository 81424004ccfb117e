"""Which model a word of a command line means, and the model itself with its tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.errors import ConfigError, nearest
from lmexp.verbs.words import find_record, split_store

if TYPE_CHECKING:
    from lmexp.core.store.store import Store
    from lmexp.models.interface import LanguageModel
    from lmexp.tokenizer.tokenizer import Tokenizer


def load(name: str, stores: Sequence[str] = ()) -> "tuple[LanguageModel, Tokenizer]":
    """Return the model that a word names, and its tokenizer; see `model_folder`.

    Errors: `ConfigError` for a name that is no model's, `DataError` for a model whose family is not known,
    `VerificationError` for an artifact that is not as it was published.
    """
    from lmexp.core.store.record import require_published

    path = model_folder(name, stores)
    require_published(path)

    from lmexp import load_model, load_tokenizer

    return load_model(path), load_tokenizer(path)


def model_folder(name: str, stores: Sequence[str] = ()) -> Path:
    """Return the directory of a model that is named by its path, by its artifact or by a run.

    `stores` are the words ``store=PATH``; without one it is the default store.
    Errors: `ConfigError` for a name that is no model's, with the nearest one.
    """
    from lmexp.core.records.runs import find_run

    path = Path(name)
    if _is_model(path):
        return path
    missing = f"{name} is not the directory of a model, which holds config.json and model.safetensors"
    try:
        _, store = split_store(stores)
    except ConfigError:
        if stores or "/" not in name:
            raise
        raise ConfigError(f"{missing}.") from None  # a directory, which needs no store
    record = find_record(store, name)
    if record is not None and _is_model(record.path):
        return record.path
    if record is not None or path.is_dir() or "/" in name:
        raise ConfigError(f"{missing}{_nearest(store, name)}; see lmexp ls.")
    run = find_run(store, name)
    folders = sorted({run.artifact(stage) for stage in run.stages if stage != "baseline"})
    models = [folder for folder in folders if _is_model(folder)]
    if len(models) == 1:
        return models[0]
    if models:
        raise ConfigError(f"run {name} has {len(models)} models; name one: {', '.join(map(str, models))}.")
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder.relative_to(store.root)} of run {name} is no longer in the store.")
    raise ConfigError(f"run {name} has no model; see lmexp ls.")


def _nearest(store: "Store", name: str) -> str:
    """Return a hint at the model of the store whose path is most like `name`."""
    models = [record.path for record in store.records() if _is_model(record.path)]
    return nearest(name, [str(path) for path in models]) or nearest(
        name, [path.relative_to(store.root).as_posix() for path in models]
    )


def _is_model(path: Path) -> bool:
    """Say whether a directory holds a model, whatever made it."""
    return all((path / name).is_file() for name in ("config.json", "model.safetensors"))
