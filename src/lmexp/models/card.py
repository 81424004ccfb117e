"""The README.md of a model's folder, for whoever meets it outside of lmexp.

It holds what the artifact is by content: shape, settings and the names of its inputs. It tells no time,
machine or path, so that the same model has the same card.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmexp.models.folder import format_of
from lmexp.models.language_model import LanguageModel


def model_card(
    model: LanguageModel, name: str, *, steps: int, settings: Mapping[str, Any], inputs: Sequence[str]
) -> str:
    """Return the card of `model` after `steps` optimizer steps.

    `settings` are those that decide the weights, nested; `inputs` name the artifacts that it was made from.
    """
    config = model.config
    size, _, last = config.size.rpartition(" ")  # the break is where cards that are published have it
    rows = [f"| `{key}` | `{value}` |" for key, value in _flat(settings)]
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags:
- lmexp
---

# {name}

A language model of {model.num_parameters:,} parameters, {size}
{last} and {model.vocab_size:,} tokens, trained from its initial weights by lmexp for {steps:,}
steps. It computes what transformers' {format_of(config).hf_class} computes, and reads at most
{config.context_length:,} tokens.

```python
from transformers import pipeline

write = pipeline("text-generation", model=".")  # this folder
print(write(["A text", "Another one"], batch_size=2, do_sample=False))
```

It is a model of an experiment: it continues texts like those that it was trained on, and nothing that it
writes is known to be true.

## Made from

{chr(10).join(f"- `{name}`" for name in inputs)}

## Settings

| key | value |
|---|---|
{chr(10).join(rows)}
"""


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
