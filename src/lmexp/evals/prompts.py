"""The prompt engine: from items to prompts, and multiple choice by the log-likelihood of each choice.

A prompt is the task's description, `num_fewshot` worked examples, each followed by the task's separator,
and then the item's context. The protocol, so that a figure can be reproduced elsewhere:

1. spaces and line breaks at the end of the context move into the choice; context and choice are
   encoded together, and the tokens after len(encode(context)) are the choice's;
2. the prediction is the choice of the greatest summed log-likelihood (the first one of equals);
   `acc_norm` divides by the characters and `acc_bytes` by the bytes of UTF-8 of the choice's own text, white
   space that it begins with included and the task's delimiter not, as lm-eval does;
3. which worked examples an item has, and what they answer where labels are permuted, stands in
   `lmexp.evals.tasks.shots`;
4. a worked example is another item's context with an answer; of a long context its end, from a line start
   on, where the task says so;
5. a prompt that is longer than the model's context loses tokens on its left; its row says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import DataError
from lmexp.evals.tasks.items import Item, Task
from lmexp.evals.tasks.shots import Examples, Shot
from lmexp.models.interface import Pair
from lmexp.scoring.scorer import Scorer
from lmexp.scoring.texts import encode_pairs
from lmexp.tokenizer.tokenizer import Tokenizer

ROW_CHARACTERS = 4000
"""Most characters of its prompt, the last ones, that a row keeps."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """An item with the text that stands before its choices."""

    item: Item
    text: str
    shots: tuple[str, ...]
    """Ids of the worked examples, in order."""


def prompts_of(task: Task, *, num_fewshot: int, seed: int, permuted: bool = False) -> list[Prompt]:
    """Return the prompt of each item of `task`, in order; `permuted` gives the shots' answers away.

    Errors: `DataError` for more worked examples than a group has, or no wrong answer to permute to.
    """
    examples = Examples(task.examples if num_fewshot else ())
    draw = examples.permuted_shots if permuted else examples.shots
    try:
        drawn = [draw(item, num_fewshot, seed) for item in task.items]
    except DataError as error:
        raise DataError(f"task {task.name}: {error}") from None
    return [
        Prompt(item, _text(task, item, shots), tuple(shot.id for shot in shots))
        for item, shots in zip(task.items, drawn, strict=True)
    ]


def score_choices(scorer: Scorer, tokenizer: Tokenizer, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """Score the choices of each prompt and return one row for each.

    Rows hold id, group, prompt (its last characters), shots, choices, gold, prediction, log_likelihoods
    (nats, of each choice), acc, acc_norm, acc_bytes (1 or 0), margin (nats by which the correct choice
    leads the best other one) and truncated.
    """
    pairs, owners = encode_choices(tokenizer, prompts)
    splits = np.cumsum([len(prompt.item.choices) for prompt in prompts])[:-1]
    groups = [pairs[begin:end] for begin, end in pairwise([0, *splits, len(pairs)])]
    scores = [score for group in scorer.score_groups(groups) for score in group]
    sums = np.array([float(score.sum()) for score in scores])
    longest = [0] * len(prompts)
    for owner, (context, continuation) in zip(owners, pairs, strict=True):
        longest[owner] = max(longest[owner], len(context) + len(continuation))
    limit = scorer.context_length
    return [
        {
            **row_head(prompt),
            "choices": list(prompt.item.choices),
            **_outcome(prompt.item, own),
            "truncated": limit is not None and size > limit + 1,
        }
        for prompt, own, size in zip(prompts, np.split(sums, splits), longest, strict=True)
    ]


def encode_choices(tokenizer: Tokenizer, prompts: Sequence[Prompt]) -> tuple[list[Pair], list[int]]:
    """Return a (context ids, choice ids) pair for each choice of each prompt, and whose each is."""
    owners = [i for i, prompt in enumerate(prompts) for _ in prompt.item.choices]
    texts = [
        (prompt.text + choice[:read], choice[read:])
        for prompt in prompts
        for choice, read in zip(prompt.item.choices, prompt.item.read, strict=True)
    ]
    return encode_pairs(tokenizer, texts), owners


def row_head(prompt: Prompt) -> dict[str, Any]:
    """Return what every row begins with: whose it is and what was asked."""
    return {
        "id": prompt.item.id,
        "group": prompt.item.group,
        "prompt": prompt.text[-ROW_CHARACTERS:],
        "shots": list(prompt.shots),
    }


def _text(task: Task, item: Item, shots: Sequence[Shot]) -> str:
    shown = [_tail(shot.context, task.shot_characters) + shot.answer + task.separator for shot in shots]
    return "".join([task.description, *shown, item.context])


def _tail(context: str, limit: int | None) -> str:
    """Return at most the last `limit` characters, from a line start on where some are left out."""
    if limit is None or len(context) <= limit:
        return context
    tail = context[-limit:]
    return tail[tail.find("\n") + 1 :]


def _outcome(item: Item, sums: NDArray[np.float64]) -> dict[str, Any]:
    # equal choices are equally likely, and not by the rounding of their places in a batch
    sums = sums[[item.choices.index(choice) for choice in item.choices]]
    own = [item.own(i) for i in range(len(item.choices))]
    characters = np.array([max(len(text), 1) for text in own])
    sizes = np.array([max(len(text.encode()), 1) for text in own])
    prediction = int(sums.argmax())
    return {
        "gold": item.gold,
        "prediction": prediction,
        "log_likelihoods": sums.tolist(),
        "acc": int(prediction == item.gold),
        "acc_norm": int((sums / characters).argmax() == item.gold),
        "acc_bytes": int((sums / sizes).argmax() == item.gold),
        "margin": float(sums[item.gold] - np.delete(sums, item.gold).max()),
    }
