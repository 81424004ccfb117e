"""The card of a model: what it is by content, to the letter."""

from lmexp.models.build import build_model
from lmexp.models.card import model_card
from lmexp.models.families import GPT2Config, GPTConfig

CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags:
- lmexp
---

# gpt-1x8-1200

A language model of 904 parameters, 1 layers of width
8 and 29 tokens, trained from its initial weights by lmexp for 1,200
steps. It computes what transformers' Qwen3ForCausalLM computes, and reads at most
16 tokens.

```python
from transformers import pipeline

write = pipeline("text-generation", model=".")  # this folder
print(write(["A text", "Another one"], batch_size=2, do_sample=False))
```

It is a model of an experiment: it continues texts like those that it was trained on, and nothing that it
writes is known to be true.

## Made from

- `packing/stream-0123`
- `tokenizer/bpe-29-4567`

## Settings

| key | value |
|---|---|
| `seed` | `0` |
| `optimizer.lr` | `0.003` |
| `optimizer.inner.betas` | `[0.9, 0.95]` |
"""


def test_a_card_is_made_of_the_model_its_settings_and_its_inputs_alone():
    config = GPTConfig(context_length=16, num_layers=1, num_heads=2, num_kv_heads=2, d_model=8, d_ff=16)
    settings = {"seed": 0, "optimizer": {"lr": 0.003, "inner": {"betas": [0.9, 0.95]}}}
    inputs = ["packing/stream-0123", "tokenizer/bpe-29-4567"]
    model = build_model(config, 29)
    assert model_card(model, "gpt-1x8-1200", steps=1200, settings=settings, inputs=inputs) == CARD


def test_a_card_names_the_class_that_reads_the_folder():
    model = build_model(GPT2Config(context_length=16, num_heads=2, d_model=8), 29)
    assert "GPT2LMHeadModel" in model_card(model, "gpt2", steps=1, settings={}, inputs=[])
