"""Continue prompts, one token a step, reading each token once.

The prompt is read in one pass into a cache of keys and values, then each new token in a pass of its
own. A text is read as its tokenizer begins it: behind its start token, if it has one. An empty prompt
stands for the beginning of a document: the token that stands between documents takes its place, and a
text ends where the model chooses that token or the end-of-text token. Ids past the tokenizer's, by which
some models pad their embedding, are never chosen.

A model sees at most context_length (L) tokens. Of a longer prompt the last L are read. When the cache
holds L tokens, it is dropped and the last L // 2 are read again at positions 0 to L // 2 - 1. So after
the first L tokens a new one sees between L // 2 and L before it, and a step costs one token but for
one pass over half a context every L - L // 2 + 1 steps. Keys carry their positions, hence they cannot
be shifted instead.

Prompts are continued one after another, each as it would be alone.
"""

from collections.abc import Sequence, Set

import torch

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.sampling import filtered_log_probs, sample
from lmexp.models.language_model import LanguageModel
from lmexp.tokenizer.tokenizer import Tokenizer


def generate_text(model: LanguageModel, tokenizer: Tokenizer, prompt: str, config: SamplingConfig) -> str:
    """Return the continuation of `prompt`, without it; bytes that are not UTF-8 become U+FFFD.

    Errors: `DataError` where the prompt is no text, or the tokenizer is not the model's.
    """
    if tokenizer.vocab_size > model.vocab_size:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {model.vocab_size}; "
            f"load both from the same directory."
        )
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the prompt is not valid UTF-8 at character {error.start}.") from None
    (ids,) = generate_ids(
        model,
        [tokenizer.begun(tokenizer.encode(prompt))],
        config,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        vocab_size=tokenizer.vocab_size,
    )
    return tokenizer.decode(ids)


def generate_ids(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    *,
    eos_token_id: int,
    bos_token_id: int | None = None,
    vocab_size: int | None = None,
) -> list[list[int]]:
    """Return the ids that continue each prompt, without the prompt and the token that ended it.

    Prompt i draws with the seed ``config.seed + i``, from the ids below `vocab_size`, by default all of
    the model's. `bos_token_id` begins an empty prompt and ends a text, too; by default the other does.

    Errors: `DataError` for an id outside the vocabulary.
    """
    first = eos_token_id if bos_token_id is None else bos_token_id
    for token in {eos_token_id, first}.union(*prompts):
        if not 0 <= token < model.vocab_size:
            raise DataError(
                f"token id {token} is outside of the model's vocabulary of {model.vocab_size}; "
                f"encode with the model's own tokenizer."
            )
    ends = {eos_token_id, first}
    return [
        _continue(model, prompt or [first], config, seed=config.seed + i, ends=ends, vocab_size=vocab_size)
        for i, prompt in enumerate(prompts)
    ]


# Not inference_mode: the model keeps tables of its first pass, and could not train with them after it.
@torch.no_grad()
def _continue(
    model: LanguageModel,
    prompt: Sequence[int],
    config: SamplingConfig,
    *,
    seed: int,
    ends: Set[int],
    vocab_size: int | None,
) -> list[int]:
    limit, device = model.config.context_length, model.device
    generator = torch.Generator().manual_seed(seed)
    tokens = list(prompt)[-limit:]
    begin, cache, unread = len(tokens), model.new_state(), tokens
    for _ in range(config.max_new_tokens):
        if cache.length + len(unread) > limit:
            cache, unread = model.new_state(), tokens[-(limit // 2) :]
        hidden = model.hidden_states(torch.tensor([unread], device=device), cache)
        logits = model.logits(hidden[:, -1])[:, :vocab_size]
        token = int(sample(filtered_log_probs(logits, config), generator))
        if token in ends:
            break
        tokens.append(token)
        unread = [token]
    return tokens[begin:]
