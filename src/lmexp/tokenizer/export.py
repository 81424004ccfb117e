"""The tokenizer's files beside the weights of a model, as transformers wants them there.

transformers pads prompts of unequal length before it continues them together. Unless the tokenizer's own
tokenizer_config.json says otherwise, which is kept, the token that ends a text pads them, on the left, where
the attention mask hides it: a batch gives what its prompts give alone.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from lmexp.core.values.foreign import read_object
from lmexp.tokenizer.folder import is_own, load_tokenizer
from lmexp.tokenizer.library import CONFIG_FILE


def export_tokenizer(files: Iterable[Path], folder: Path, *, model_max_length: int | None) -> None:
    """Copy a tokenizer's `files` into `folder`, with padding and the model's longest sequence in tokens.

    None stands for a model without a limit.
    """
    for path in files:
        shutil.copyfile(path, folder / path.name)
    if is_own(folder):
        return  # transformers does not read it
    config = folder / CONFIG_FILE
    written = read_object(config) if config.exists() else {}
    tokenizer = load_tokenizer(folder)
    padding = {"pad_token": tokenizer.decode([tokenizer.eos_token_id]), "padding_side": "left"}
    named = {key: value for key, value in written.items() if value is not None}
    longest = {} if model_max_length is None else {"model_max_length": model_max_length}
    values = padding | named | longest
    config.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
