"""The prompt engine: multiple choice by the log-likelihood of each choice.

A prompt is `num_fewshot` worked examples, each followed by a blank line, and then the item's
context. The protocol, so that a figure can be reproduced elsewhere:

1. spaces and line breaks at the end of the context move into the choice; context and choice are
   encoded together, and the tokens after len(encode(context)) are the choice's;
2. the prediction is the choice of the greatest summed log-likelihood (the first one of equals);
   `acc_norm` divides by characters and `acc_bytes` by bytes of UTF-8, as lm-eval does;
3. the worked examples of an item are drawn by a random stream of its own, ``Random(f"{seed}-{id}")``,
   from the examples in order of their ids, never the item itself. They do not depend on the
   number, the order or the distribution of the items;
4. a worked example is the end of another item's context, at most 300 characters from a line start
   on, with its correct choice;
5. a prompt that is longer than the model's context loses tokens on its left; its row says so.
"""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.evals.python_pairs import Item
from lmexp.evals.scoring import Pair, Scorer
from lmexp.tokenizer.tokenizer import Tokenizer

SHOT_CHARACTERS = 300
"""Most characters of context that a worked example shows."""


def evaluate_prompts(
    scorer: Scorer,
    tokenizer: Tokenizer,
    task_name: str,
    items: Sequence[Item],
    shot_items: Sequence[Item],
    *,
    num_fewshot: int,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, float | int]]:
    """Score `items` and return one row for each and the metrics over all.

    Rows hold id, gold, prediction, log_likelihoods (nats, of each choice), acc, acc_norm,
    acc_bytes (1 or 0), margin (nats by which the correct choice leads the best other one) and
    truncated. Metrics: acc, ``acc/stderr`` = sqrt(p (1 - p) / (n - 1)) (left out for one item),
    acc_norm, acc_bytes, chance, items, truncated.
    Errors: `DataError` for no items, or for more examples than there are to choose from.
    """
    if not items:
        raise DataError(f"The task {task_name} has no items to evaluate.")
    examples = sorted(shot_items, key=lambda item: item.id)
    prompts = [prompt_of(item, examples, num_fewshot, seed, task_name) for item in items]
    pairs, owners = encode_choices(tokenizer, prompts, items)
    sums = np.array([float(scores.sum()) for scores in scorer.score(pairs)])
    longest = [0] * len(items)
    for owner, (context, continuation) in zip(owners, pairs, strict=True):
        longest[owner] = max(longest[owner], len(context) + len(continuation))
    limit = scorer.context_length
    rows = []
    for i, (item, own) in enumerate(
        zip(items, np.split(sums, np.cumsum([len(item.choices) for item in items])[:-1]), strict=True)
    ):
        truncated = limit is not None and longest[i] > limit + 1
        rows.append({**_row(item, own), "truncated": truncated})
    return rows, _metrics(rows, items)


def prompt_of(
    item: Item, examples: Sequence[Item], num_fewshot: int, seed: int, task_name: str = "the task"
) -> str:
    """Return the text before the choices of `item`; `examples` must be in order of their ids."""
    if num_fewshot == 0:
        return item.context
    others = [i for i, example in enumerate(examples) if example.id != item.id]
    if num_fewshot > len(others):
        raise DataError(
            f"prompts.num_fewshot asks for {num_fewshot} worked examples of {task_name}, but there are "
            f"{len(others)} to choose from; lower it, raise prompts.limit, or use a larger corpus."
        )
    rng = random.Random(f"{seed}-{item.id}")  # noqa: S311 (reproducible, not secret)
    shown = [examples[i] for i in rng.sample(others, num_fewshot)]
    return "\n\n".join([*map(_worked_example, shown), item.context])


def encode_choices(
    tokenizer: Tokenizer, prompts: Sequence[str], items: Sequence[Item]
) -> tuple[list[Pair], list[int]]:
    """Return a (context ids, choice ids) pair for each choice of each item, and whose each is."""
    contexts = [prompt.rstrip() for prompt in prompts]
    owners = [i for i, item in enumerate(items) for _ in item.choices]
    wholes = [prompt + choice for prompt, item in zip(prompts, items, strict=True) for choice in item.choices]
    lengths = [len(ids) for ids in tokenizer.encode_batch(contexts)]
    encoded = tokenizer.encode_batch(wholes)
    return [(ids[: lengths[i]], ids[lengths[i] :]) for i, ids in zip(owners, encoded, strict=True)], owners


def _worked_example(item: Item) -> str:
    tail = item.context[-SHOT_CHARACTERS:]
    if len(tail) < len(item.context):
        tail = tail[tail.find("\n") + 1 :]
    return tail + item.choices[item.gold]


def _row(item: Item, sums: NDArray[np.float64]) -> dict[str, Any]:
    characters = np.array([max(len(choice), 1) for choice in item.choices])
    sizes = np.array([max(len(choice.encode()), 1) for choice in item.choices])
    prediction = int(sums.argmax())
    return {
        "id": item.id,
        "gold": item.gold,
        "prediction": prediction,
        "log_likelihoods": sums.tolist(),
        "acc": int(prediction == item.gold),
        "acc_norm": int((sums / characters).argmax() == item.gold),
        "acc_bytes": int((sums / sizes).argmax() == item.gold),
        "margin": float(sums[item.gold] - np.delete(sums, item.gold).max()),
    }


def _metrics(rows: list[dict[str, Any]], items: Sequence[Item]) -> dict[str, float | int]:
    n = len(rows)
    acc, acc_norm, acc_bytes = (
        sum(row[name] for row in rows) / n for name in ("acc", "acc_norm", "acc_bytes")
    )
    metrics: dict[str, float | int] = {
        "acc": acc,
        "acc_norm": acc_norm,
        "acc_bytes": acc_bytes,
        "chance": sum(1 / len(item.choices) for item in items) / n,
        "items": n,
        "truncated": sum(row["truncated"] for row in rows),
    }
    if n > 1:
        metrics["acc/stderr"] = math.sqrt(acc * (1 - acc) / (n - 1))
    return metrics
