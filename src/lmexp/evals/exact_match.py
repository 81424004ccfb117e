"""Answers that a model writes itself: greedy generation, compared with the answer as text.

The model reads the prompt without the white space at its end, and goes on with its most likely token
until one of the task's `until` texts appears, the end of text is chosen or `max_new_tokens` are written. What
stands before the first `until` text is the generated answer. White space at its beginning belongs to the
delimiter between prompt and answer, and ends nothing: after "A:" a model begins with " 7", which an `until`
of " " would cut to nothing. It matches where it and the answer, or one of its aliases, are equal once

1. characters are composed (Unicode NFC),
2. case is folded and the ASCII punctuation of `string.punctuation` removed, each where the task says so,
3. runs of white space are one space, and none stands at either end.

A prompt that leaves no room for `max_new_tokens` in the model's context loses tokens on its left. An item all
of whose answers have more tokens than that can never be right: it is counted as `unreachable`.
Prompts of equal length are continued together.
"""

import string
import unicodedata
from collections.abc import Callable, Sequence, Set
from itertools import groupby
from typing import Any

import torch

from lmexp.errors import DataError
from lmexp.evals.needs import no_room
from lmexp.evals.prompts import Prompt, row_head
from lmexp.evals.tasks.items import ExactMatch, Task
from lmexp.models.language_model import LanguageModel
from lmexp.tokenizer.tokenizer import Tokenizer


def score_answers(
    model: LanguageModel, tokenizer: Tokenizer, task: Task, prompts: Sequence[Prompt], *, batch_size: int
) -> list[dict[str, Any]]:
    """Generate an answer to each prompt and return one row for each.

    Rows hold id, group, prompt (its last characters), shots, answer, aliases (where there are some),
    generated, exact_match (1 or 0), truncated and unreachable.
    Errors: `DataError` where the model's context is shorter than what is to be generated.
    """
    how = task.exact_match
    assert how is not None
    room = model.config.context_length + 1 - how.max_new_tokens  # the last token is not read
    if room < 1:
        raise DataError(no_room(f"task {task.name}", how.max_new_tokens, model.config.context_length))
    plain = tokenizer.encode_batch([prompt.text.rstrip() for prompt in prompts])
    encoded = [tokenizer.begun(ids) for ids in plain]
    continued = greedy(
        model,
        [ids[-room:] for ids in encoded],
        max_new_tokens=how.max_new_tokens,
        ends={tokenizer.eos_token_id, tokenizer.bos_token_id},
        vocab_size=tokenizer.vocab_size,
        stops=lambda ids: is_ended(tokenizer.decode(ids), how.until),
        batch_size=batch_size,
    )
    rows = []
    for prompt, ids, begun, new in zip(prompts, plain, encoded, continued, strict=True):
        generated, item = cut(tokenizer.decode(new), how.until), prompt.item
        matches = normalised(generated, how) in {normalised(a, how) for a in (item.answer, *item.aliases)}
        rights = [item.answer, *(item.delimiter + alias for alias in item.aliases)]
        needed = min(len(tokenizer.encode(prompt.text + right)) - len(ids) for right in rights)
        rows.append(
            {
                **row_head(prompt),
                "answer": item.answer,
                **({"aliases": list(item.aliases)} if item.aliases else {}),
                "generated": generated,
                "exact_match": int(matches),
                "truncated": len(begun) > room,
                "unreachable": needed > how.max_new_tokens,
            }
        )
    return rows


def greedy(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    ends: Set[int],
    vocab_size: int | None = None,
    stops: Callable[[list[int]], bool],
    batch_size: int,
) -> list[list[int]]:
    """Return the most likely ids that continue each prompt, the first one of equals, in the order given.

    A continuation ends after `max_new_tokens`, before an id of `ends`, or after the token with which `stops`
    first holds of it. Ids from `vocab_size` on, by which a model pads its embedding, are never chosen. A
    prompt has at least one token, and fits the context with its continuation.
    """
    results: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for _, alike in groupby(order, key=lambda i: len(prompts[i])):
        same = list(alike)
        for begin in range(0, len(same), batch_size):
            batch = same[begin : begin + batch_size]
            _continue(
                model,
                [prompts[i] for i in batch],
                [results[i] for i in batch],
                max_new_tokens=max_new_tokens,
                ends=ends,
                vocab_size=vocab_size,
                stops=stops,
            )
    return results


# Not inference_mode: the model keeps tables of its first pass, and could not train with them after it.
@torch.no_grad()
def _continue(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    results: Sequence[list[int]],
    *,
    max_new_tokens: int,
    ends: Set[int],
    vocab_size: int | None,
    stops: Callable[[list[int]], bool],
) -> None:
    """Append to each of `results`; rows that have ended go on unread until all have."""
    cache = model.new_state()
    unread = torch.tensor([list(prompt) for prompt in prompts], device=model.device)
    going = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        hidden = model.hidden_states(unread, cache)[:, -1]
        tokens = model.logits(hidden)[:, :vocab_size].float().argmax(dim=-1)
        for row, token in enumerate(tokens.tolist()):
            if row not in going:
                continue
            if token not in ends:
                results[row].append(token)
            if token in ends or stops(results[row]):
                going.remove(row)
        if not going:
            return
        unread = tokens[:, None]


def cut(text: str, until: Sequence[str]) -> str:
    """Return what stands before the first of the texts `until`, white space at the beginning apart."""
    return text[: _end(text, until)]


def is_ended(text: str, until: Sequence[str]) -> bool:
    """Return whether a text `until` stands in `text` after the white space at its beginning."""
    return _end(text, until) is not None


def _end(text: str, until: Sequence[str]) -> int | None:
    begin = len(text) - len(text.lstrip())
    return min((place for stop in until if (place := text.find(stop, begin)) >= 0), default=None)


def normalised(text: str, how: ExactMatch) -> str:
    """Return `text` as it is compared; see the module's docstring."""
    text = unicodedata.normalize("NFC", text)
    if how.ignore_case:
        text = text.casefold()
    if how.ignore_punctuation:
        text = text.translate(str.maketrans("", "", string.punctuation))
    return " ".join(text.split())
