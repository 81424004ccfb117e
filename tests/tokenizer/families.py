"""Tokenizers built as those of public models are, small."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

BEGIN, END = "<\uff5cbegin▁of▁text\uff5c>", "<\uff5cend▁of▁text\uff5c>"
"""Special tokens that are not ASCII."""

TEXTS = [f"The {i} cats can't sit\n\n  on naïve mats, 中文 été 😀 {i * 37}" for i in range(60)]

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def trained(pre_tokenizer: Any, *, special: Sequence[str] = (), size: int = 320, **model: Any) -> Backend:
    """Return byte-level BPE trained on `TEXTS`; `special` tokens lie in the model's own vocabulary."""
    backend = Backend(models.BPE(**model))
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    return backend


def split(pattern: str) -> Any:
    """Return what Llama 3 and Qwen 2 split by."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def starting_with(token: str, i: int) -> Any:
    """Return the post-processor that puts a token before each text."""
    return processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, i)]
            ),
        ]
    )


def gpt2() -> tuple[Backend, dict[str, Any]]:
    """Return GPT-2's kind, whose special token lies in the vocabulary, last; its configuration is bare."""
    backend = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), unk_token=None)
    backend.add_special_tokens([AddedToken("<|endoftext|>", normalized=True, special=True)])
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return backend, {"model_max_length": 1024}


def llama3() -> tuple[Backend, dict[str, Any]]:
    """Return Llama 3's kind: merges ignored for whole words, a start token before every text."""
    backend = trained(split(_LLAMA3), ignore_merges=True)
    names = ["<|begin_of_text|>", "<|end_of_text|>", *(f"<|reserved_{i}|>" for i in range(4))]
    backend.add_special_tokens(names)
    backend.post_processor = starting_with(names[0], backend.token_to_id(names[0]))
    return backend, {"bos_token": names[0], "eos_token": {"__type": "AddedToken", "content": names[1]}}


def qwen2() -> tuple[Backend, dict[str, Any]]:
    """Return Qwen 2's kind without its NFC: some added tokens are not special."""
    backend = trained(
        split(_LLAMA3.replace("{1,3}", "")), continuing_subword_prefix="", end_of_word_suffix=""
    )
    backend.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    backend.add_tokens([AddedToken(name, normalized=False) for name in ("<tool_call>", "</tool_call>")])
    backend.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    return backend, {"bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": False}


def neox() -> tuple[Backend, dict[str, Any]]:
    """Return GPT-NeoX's kind without its NFC: runs of spaces are added tokens, and some are not ASCII."""
    backend = trained(pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>"])
    backend.add_tokens([" " * n for n in range(9, 1, -1)] + ["naïve", " été", "中", "cats", "\n\n"])
    return backend, {"eos_token": "<|endoftext|>"}


def deepseek() -> tuple[Backend, dict[str, Any]]:
    """Return DeepSeek's kind: special names that are not ASCII, digits alone, flags about bytes set."""
    parts = [
        pre_tokenizers.Split(Regex("[\r\n]"), "isolated"),
        pre_tokenizers.Punctuation("merged_with_next"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    backend = trained(pre_tokenizers.Sequence(parts), fuse_unk=True, byte_fallback=True, unk_token="!")
    backend.add_special_tokens([BEGIN, END, "¡fin¡"])
    backend.post_processor = starting_with(BEGIN, backend.token_to_id(BEGIN))
    config = {"bos_token": BEGIN, "eos_token": END, "add_bos_token": True}
    return backend, config


FAMILIES: dict[str, Callable[[], tuple[Backend, dict[str, Any]]]] = {
    "gpt2": gpt2,
    "llama3": llama3,
    "qwen2": qwen2,
    "neox": neox,
    "deepseek": deepseek,
}


def write(folder: Path, definition: dict[str, Any], config: dict[str, Any]) -> Path:
    """Write a tokenizer's two files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def written(folder: Path, family: str) -> Path:
    """Write the tokenizer of a family into `folder`."""
    backend, config = FAMILIES[family]()
    return write(folder, json.loads(backend.to_str()), config)
