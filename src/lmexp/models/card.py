"""The README.md of a model's folder, for whoever meets it outside of lmexp.

It holds what the artifact is by content: shape, settings and the names of its inputs. It tells no time,
machine or path, so that the same model has the same card.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmexp.models.families import NETWORKS, has_module
from lmexp.models.network import Network
from lmexp.models.transformers_folder import format_of

_PIPELINE = """from transformers import pipeline

write = pipeline("text-generation", model=".")  # this folder
print(write(["A text", "Another one"], batch_size=2, do_sample=False))"""

_LOAD = """import lmexp

model, tokenizer = lmexp.load_model("."), lmexp.load_tokenizer(".")  # this folder"""

_LOAD_OWN = """import lmexp

# of a family that {file} defines, which is not in this folder
model, tokenizer = lmexp.load_model(".", extensions=["{file}"]), lmexp.load_tokenizer(".")"""

_GENERATE = """{load}
print(lmexp.generate(model, tokenizer, "A text", temperature=0.8))"""

_DOES = {
    True: """it continues texts like those that it was trained on, and nothing that it
writes is known to be true.""",
    False: "it fills gaps in texts like those that it was trained on.",
}


def model_card(
    model: Network, name: str, *, steps: int, settings: Mapping[str, Any], inputs: Sequence[str]
) -> str:
    """Return the card of `model` after `steps` optimizer steps.

    `settings` are those that decide the weights, nested; `inputs` name the artifacts that it was made from.
    """
    config, longest = model.config, model.config.longest
    known = has_module(config, "transformers")
    size, _, last = config.size.rpartition(" ")  # the break is where cards that are published have it
    own = NETWORKS.extension_of(config)
    load = _LOAD if own is None else _LOAD_OWN.format(file=own.name)
    writes = bool(model.can & {"streams", "any_order"})
    rows = [f"| `{key}` | `{value}` |" for key, value in _flat(settings)]
    computes = f"It computes what transformers' {format_of(config).hf_class} computes, and" if known else "It"
    most = f"at most\n{longest:,} tokens." if longest is not None else "without\na limit."
    return f"""---
library_name: {"transformers" if known else "lmexp"}
pipeline_tag: {"text-generation" if writes else "fill-mask"}
tags:
- lmexp
---

# {name}

A language model of {model.num_parameters:,} parameters, {size}
{last} and {model.vocab_size:,} tokens, trained from its initial weights by lmexp for {steps:,}
steps. {computes} reads {most}

```python
{_PIPELINE if known else _GENERATE.format(load=load) if writes else load}
```

It is a model of an experiment: {_DOES[writes]}

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
