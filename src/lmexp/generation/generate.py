"""Continue prompts, one token a step, reading each token once.

The prompt is read in one pass into a cache of keys and values, then each new token in a pass of its
own. An empty prompt stands for the beginning of a document: the end-of-text token takes its place.

A model sees at most context_length (L) tokens. Of a longer prompt the last L are read. When the cache
holds L tokens, it is dropped and the last L // 2 are read again at positions 0 to L // 2 - 1. So after
the first L tokens a new one sees between L // 2 and L before it, and a step costs one token but for
one pass over half a context every L - L // 2 + 1 steps. Keys carry their positions, hence they cannot
be shifted instead.

Prompts are continued one after another, each as it would be alone.
"""

from collections.abc import Sequence

import torch

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.sampling import filtered_log_probs, sample
from lmexp.models.cache import KVCache
from lmexp.models.language_model import LanguageModel
from lmexp.tokenizer.tokenizer import Tokenizer


def generate_text(model: LanguageModel, tokenizer: Tokenizer, prompt: str, config: SamplingConfig) -> str:
    """Return the continuation of `prompt`, without it; bytes that are not UTF-8 become U+FFFD.

    Errors: `DataError` where the prompt is no text, or the tokenizer is not the model's.
    """
    if tokenizer.vocab_size != model.vocab_size:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {model.vocab_size}; "
            f"load both from the same pretrain artifact."
        )
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the prompt is not valid UTF-8 at character {error.start}.") from None
    (ids,) = generate_ids(model, [tokenizer.encode(prompt)], config, eos_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(ids)


def generate_ids(
    model: LanguageModel, prompts: Sequence[Sequence[int]], config: SamplingConfig, *, eos_token_id: int
) -> list[list[int]]:
    """Return the ids that continue each prompt, without the prompt and the end-of-text token.

    Prompt i draws with the seed ``config.seed + i``.

    Errors: `DataError` for an id outside the vocabulary.
    """
    for token in {eos_token_id}.union(*prompts):
        if not 0 <= token < model.vocab_size:
            raise DataError(
                f"token id {token} is outside of the model's vocabulary of {model.vocab_size}; "
                f"encode with the model's own tokenizer."
            )
    return [
        _continue(model, prompt, config, config.seed + i, eos_token_id) for i, prompt in enumerate(prompts)
    ]


# Not inference_mode: the model keeps tables of its first pass, and could not train with them after it.
@torch.no_grad()
def _continue(
    model: LanguageModel, prompt: Sequence[int], config: SamplingConfig, seed: int, eos_token_id: int
) -> list[int]:
    limit, device = model.config.context_length, model.device
    generator = torch.Generator().manual_seed(seed)
    tokens = list(prompt)[-limit:] or [eos_token_id]
    begin, cache, unread = len(tokens), KVCache(model.config.num_layers), tokens
    for _ in range(config.max_new_tokens):
        if cache.length + len(unread) > limit:
            cache, unread = KVCache(model.config.num_layers), tokens[-(limit // 2) :]
        hidden = model.hidden_states(torch.tensor([unread], device=device), cache)
        token = int(sample(filtered_log_probs(model.logits(hidden[:, -1]), config), generator))
        if token == eos_token_id:
            break
        tokens.append(token)
        unread = [token]
    return tokens[begin:]
