"""Answers that a model writes itself: greedy generation, compared with the answer as text.

The model reads the prompt without the white space at its end, and goes on with its most likely token
until one of the task's `until` texts appears (`lmexp.generation.stops`), the end of text is chosen or
`max_new_tokens` are written. What stands before the first `until` text is the generated answer. It matches
where it and the answer, or one of its aliases, are equal once

1. characters are composed (Unicode NFC),
2. case is folded and the ASCII punctuation of `string.punctuation` removed, each where the task says so,
3. runs of white space are one space, and none stands at either end.

A prompt that leaves no room for `max_new_tokens` in the model's context loses tokens on its left. An item all
of whose answers have more tokens than that can never be right: it is counted as `unreachable`.
"""

import string
import unicodedata
from collections.abc import Callable, Sequence, Set
from typing import Any

from lmexp.errors import DataError
from lmexp.evals.needs import no_room
from lmexp.evals.prompts import Prompt, row_head
from lmexp.evals.tasks.items import ExactMatch, Task
from lmexp.generation.sampling import most_likely
from lmexp.generation.stops import cut, is_ended
from lmexp.generation.stream import stream
from lmexp.models.interface import LanguageModel, streaming
from lmexp.tokenizer.tokenizer import Tokenizer

BATCH_SIZE = 32
"""Prompts that are answered together unless their number is given."""


def score_answers(
    model: LanguageModel,
    tokenizer: Tokenizer,
    task: Task,
    prompts: Sequence[Prompt],
    *,
    batch_size: int | None = None,
) -> list[dict[str, Any]]:
    """Generate an answer to each prompt and return one row for each.

    Rows hold id, group, prompt (its last characters), shots, answer, aliases (where there are some),
    generated, exact_match (1 or 0), truncated and unreachable.
    Errors: `DataError` where the model's context is shorter than what is to be generated.
    """
    how = task.exact_match
    assert how is not None
    limit, room = model.context_length, None
    if limit is not None:
        room = limit + 1 - how.max_new_tokens  # the last token is not read
        if room < 1:
            raise DataError(no_room(f"task {task.name}", how.max_new_tokens, limit))
    plain = tokenizer.encode_batch([prompt.text.rstrip() for prompt in prompts])
    encoded = [tokenizer.begun(ids) for ids in plain]
    continued = greedy(
        model,
        [ids if room is None else ids[-room:] for ids in encoded],
        max_new_tokens=how.max_new_tokens,
        ends={tokenizer.eos_token_id, tokenizer.bos_token_id},
        vocab_size=tokenizer.vocab_size,
        stops=lambda ids: is_ended(tokenizer.decode(ids), how.until),
        batch_size=batch_size or BATCH_SIZE,
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
                "truncated": room is not None and len(begun) > room,
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
    stops: Callable[[Sequence[int]], bool],
    batch_size: int,
) -> list[list[int]]:
    """Return the most likely ids that continue each prompt, the first one of equals, in the order given.

    A continuation ends after `max_new_tokens`, before an id of `ends`, or after the token with which `stops`
    first holds of it. Ids from `vocab_size` on, by which a model pads its embedding, are never chosen. A
    prompt has at least one token, and fits the context with its continuation.
    """
    results: list[list[int]] = [[] for _ in prompts]
    for row, token in stream(
        streaming(model, "exact_match"),
        prompts,
        choose=lambda logits, _rows: most_likely(logits[:, :vocab_size]),
        max_new_tokens=max_new_tokens,
        ends=ends,
        stops=lambda _row, written: stops(written),
        batch_size=batch_size,
    ):
        results[row].append(token)
    return results


def normalised(text: str, how: ExactMatch) -> str:
    """Return `text` as it is compared; see the module's docstring."""
    text = unicodedata.normalize("NFC", text)
    if how.ignore_case:
        text = text.casefold()
    if how.ignore_punctuation:
        text = text.translate(str.maketrans("", "", string.punctuation))
    return " ".join(text.split())
