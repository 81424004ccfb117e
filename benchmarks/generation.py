"""Greedy generation against transformers': CPU seconds a token, the same weights, prompts and ids.

    python benchmarks/generation.py [--rounds 5]

Two cases: 16 prompts of 64 tokens, and 48 prompts of 8 to 300 tokens, each at once, 64 new tokens a prompt.
transformers gets its prompts padded on the left under an attention mask, as its documentation asks. Both run
on one thread, by turns; printed are tokens a CPU second and the median of the rounds' ratios.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import generate_ids
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.models.folder import save_network

VOCAB_SIZE = 4096
NEW_TOKENS = 64
SHAPES = {
    "0.9M": GPTConfig(context_length=512, num_layers=4, num_heads=4, num_kv_heads=2, d_model=96),
    "5.5M": GPTConfig(context_length=512, num_layers=6, num_heads=4, num_kv_heads=2, d_model=256),
}

Ids = Sequence[Sequence[int]]


def both(shape: GPTConfig) -> tuple[Any, Any]:
    """Return our network with weights that are drawn, none of them zero, and transformers' of the same."""
    import transformers

    ours = build_model(shape, VOCAB_SIZE, seed=0).eval()
    with torch.no_grad():
        for i, parameter in enumerate(ours.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)) * 0.05)
    with tempfile.TemporaryDirectory() as folder:
        save_network(ours, Path(folder), eos_token_id=0)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    return ours, theirs.eval()


def padded(prompts: Ids) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ids and the attention mask ``[B, T]`` of prompts that end in the same column."""
    longest = max(map(len, prompts))
    ids, mask = torch.zeros(2, len(prompts), longest, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


def measure(name: str, shape: GPTConfig, prompts: Ids, rounds: int) -> str:
    """Return a row of the table."""
    ours, theirs = both(shape)
    config = SamplingConfig(temperature=0, max_new_tokens=NEW_TOKENS)

    def lmexp() -> list[list[int]]:
        return generate_ids(ours, prompts, config, eos_token_id=0, batch_size=len(prompts))

    def transformers() -> list[list[int]]:
        ids, mask = padded(prompts)
        found = theirs.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0
        )[:, ids.shape[1] :].tolist()
        return [row[: row.index(0)] if 0 in row else row for row in found]

    written = lmexp()
    same = sum(a == b for a, b in zip(written, transformers(), strict=True))
    pairs = [(seconds(lmexp), seconds(transformers)) for _ in range(rounds)]
    tokens = sum(map(len, written))
    own, other = (tokens / statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return f"{name:22} {own:9.0f} {other:12.0f} {ratio:6.2f} {same:5} of {len(prompts)}"


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    lengths = {"16 equal": [64] * 16, "48 mixed": draw.integers(8, 301, 48).tolist()}
    print(f"{'shape, prompts':22} {'lmexp':>9} {'transformers':>12} {'ratio':>6} {'same ids':>11}")
    for size, shape in SHAPES.items():
        for name, sizes in lengths.items():
            prompts = [draw.integers(1, VOCAB_SIZE, n).tolist() for n in sizes]
            print(measure(f"{size}, {name}", shape, prompts, rounds), flush=True)


if __name__ == "__main__":
    main()
