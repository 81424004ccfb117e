"""A model as a folder: JSON and safetensors, never pickle, read back whatever its family.

A family that Hugging Face's transformers knows is written as transformers writes it, so that it loads there;
any other one says its family in its config.json.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.values.foreign import read_object
from lmexp.errors import DataError, nearest
from lmexp.models.families import MODELS, NETWORKS, has_module, module_of_kind
from lmexp.models.interface import LanguageModel

if TYPE_CHECKING:
    from lmexp.models.network import Network

CONFIG = "config.json"


def save_network(model: "Network", directory: Path, *, eos_token_id: int) -> None:
    """Write a network into `directory`, which is made if it is missing.

    `eos_token_id` ends a text, and also starts one: documents are packed with it between them.
    """
    from lmexp.models import own_folder, transformers_folder

    directory.mkdir(parents=True, exist_ok=True)
    written = transformers_folder if has_module(model.config, "transformers") else own_folder
    written.save_network(model, directory, eos_token_id=eos_token_id)


def save_counts(model: LanguageModel, directory: Path) -> None:
    """Write a model that was counted into `directory`, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    module_of_kind(model.family, "folder").save(model, directory)


def load_model(directory: Path) -> LanguageModel:
    """Return the model that `directory` holds: a network on the CPU, in the stored dtype, to be evaluated.

    Errors: `DataError` if a file is missing, unreadable or damaged, for a family that is not known, and for
    what the family does not compute.
    """
    values = read_object(directory / CONFIG)
    family = values.get("family")
    if family is None:
        from lmexp.models import transformers_folder

        return transformers_folder.load_network(directory, values)
    if family not in MODELS.kinds:
        raise DataError(_unknown(directory / CONFIG, family, values.get("file")))
    if family in NETWORKS.kinds:
        from lmexp.models import own_folder

        return own_folder.load_network(directory, values)
    return module_of_kind(family, "folder").load(directory)  # type: ignore[no-any-return]


def load_any(directory: Path) -> LanguageModel:
    """Return the model that `directory` holds, one that only transformers computes, too.

    Such a model is asked for probabilities and nothing else; it is not adopted.
    Errors: `DataError` as `load_model`, and for what transformers cannot read.
    """
    values = read_object(directory / CONFIG)
    if "family" not in values:
        from lmexp.models import transformers_folder

        if not transformers_folder.computes(values):
            from lmexp.models.families.hugging_face import network

            return network.load(directory, values)
    return load_model(directory)


def _unknown(path: Path, family: object, file: object) -> str:
    """Return the sentence about a family that is not there, with the `file` that its model names, if any."""
    if file is None:
        known = nearest(str(family), MODELS.kinds)
        return f"{path} is of the family {family!r}, which lmexp does not know{known}."
    return (
        f"{path} is of the family {family!r}, which a file {file} defined; lmexp runs no code because a "
        f"model names it, so give it: --with FILE to a verb, extensions=[FILE] to a run, "
        f"lmexp.load_model(PATH, extensions=[FILE]) in Python."
    )
