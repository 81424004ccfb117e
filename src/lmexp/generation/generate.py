"""Continue texts, as they are read by the model and its tokenizer.

A text is read as its tokenizer begins it: behind its start token, if it has one. An empty prompt stands for
the beginning of a document: the token that stands between documents takes its place, and a text ends where
the model chooses that token, the end-of-text token, or before a text of `stop`. Ids past the tokenizer's, by
which some models pad their embedding, are never chosen.

Each text draws with a seed of its own, so that it is the one that it would be alone, as far as the model's
logits are: a batch may round them otherwise.

A model of any order fills gaps instead (`lmexp.generation.unmask`): it writes `max_new_tokens` tokens behind
the prompt, and before `suffix` if there is one, one text after the other.
"""

from collections.abc import Iterator, Sequence, Set

import torch
from torch import Tensor

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.sampling import filtered_log_probs, most_likely, sample
from lmexp.generation.stops import cut, held_back, is_ended
from lmexp.generation.stream import Choose, stream
from lmexp.generation.unmask import unmask
from lmexp.models.interface import LanguageModel, require, streaming
from lmexp.models.network import MaskedNetwork
from lmexp.tokenizer.tokenizer import Tokenizer

BATCH_SIZE = 32
"""Texts that are written together."""


def generate_texts(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: SamplingConfig,
    *,
    seeds: Sequence[int] | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[str]:
    """Return the continuation of each prompt, without it; bytes that are not UTF-8 become U+FFFD.

    Prompt i draws with ``seeds[i]``, by default ``config.seed + i``.

    Errors: `DataError` where a prompt is no text, the model cannot write, or the tokenizer is not its own.
    """
    ids = encode_prompts(model, tokenizer, prompts)
    seeds = range(config.seed, config.seed + len(prompts)) if seeds is None else seeds
    written: list[list[int]] = [[] for _ in prompts]
    for row, token in _stream(model, tokenizer, ids, config, seeds=seeds, batch_size=batch_size):
        written[row].append(token)
    return [
        cut(tokenizer.continuation(prompt, tokens), config.stop)
        for prompt, tokens in zip(prompts, written, strict=True)
    ]


def generate_text(model: LanguageModel, tokenizer: Tokenizer, prompt: str, config: SamplingConfig) -> str:
    """Return the continuation of one prompt; see `generate_texts`."""
    return "".join(stream_text(model, tokenizer, prompt, config))


def stream_text(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, config: SamplingConfig
) -> Iterator[str]:
    """Yield the continuation of `prompt` in pieces, each as soon as nothing that follows can change it.

    Errors: as those of `generate_texts`.
    """
    tokens: list[int] = []
    shown = 0
    ids = encode_prompts(model, tokenizer, [prompt])
    for _, token in _stream(model, tokenizer, ids, config, seeds=[config.seed], batch_size=1):
        tokens.append(token)
        text = cut(tokenizer.continuation(prompt, tokens), config.stop)
        end = len(text) - held_back(text, config.stop)
        if end > shown:
            yield text[shown:end]
            shown = end
    rest = cut(tokenizer.continuation(prompt, tokens), config.stop)[shown:]
    if rest:
        yield rest


def generate_ids(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    config: SamplingConfig,
    *,
    eos_token_id: int,
    bos_token_id: int | None = None,
    vocab_size: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> list[list[int]]:
    """Return the ids that continue each prompt, without the prompt and the token that ended it.

    Prompt i draws with the seed ``config.seed + i``, from the ids below `vocab_size`, by default all of
    the model's. `bos_token_id` begins an empty prompt and ends a text, too; by default the other does.

    Errors: `DataError` for an id outside the vocabulary, or a model that cannot write.
    """
    first = eos_token_id if bos_token_id is None else bos_token_id
    begun = [prompt or [first] for prompt in prompts]
    ends = {eos_token_id, first}
    _check_ids(model, ends.union(*begun))
    seeds = range(config.seed, config.seed + len(prompts))
    choose = _chooser(config, seeds, vocab_size)
    written: list[list[int]] = [[] for _ in prompts]
    for row, token in stream(
        streaming(model, "generation"),
        begun,
        choose=choose,
        max_new_tokens=config.max_new_tokens,
        ends=ends,
        batch_size=batch_size,
    ):
        written[row].append(token)
    return written


def encode_prompts(model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[list[int]]:
    """Return the ids of the prompts as the model reads them.

    Errors: `DataError` for a prompt that is no text, or a tokenizer that is not the model's own.
    """
    if tokenizer.vocab_size > model.vocab_size:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model {model.vocab_size}; "
            f"load both from the same directory."
        )
    for prompt in prompts:
        try:
            prompt.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(f"the prompt is not valid UTF-8 at character {error.start}.") from None
    return [tokenizer.begun(ids) for ids in tokenizer.encode_batch(prompts)]


def _stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: Sequence[Sequence[int]],
    config: SamplingConfig,
    *,
    seeds: Sequence[int],
    batch_size: int,
) -> Iterator[tuple[int, int]]:
    ends: Set[int] = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    if "any_order" in model.can:
        assert isinstance(model, MaskedNetwork), "a model of any order is a network with a mask"
        return _filled(model, tokenizer, ids, config, seeds=seeds)
    if config.suffix:
        require(model, ["any_order"], "generation with a suffix")

    def stops(_row: int, written: Sequence[int]) -> bool:
        return bool(config.stop) and is_ended(tokenizer.decode(written), config.stop)

    return stream(
        streaming(model, "generation"),
        ids,
        choose=_chooser(config, seeds, tokenizer.vocab_size),
        max_new_tokens=config.max_new_tokens,
        ends=ends,
        stops=stops,
        batch_size=batch_size,
    )


def _filled(
    model: MaskedNetwork,
    tokenizer: Tokenizer,
    ids: Sequence[Sequence[int]],
    config: SamplingConfig,
    *,
    seeds: Sequence[int],
) -> Iterator[tuple[int, int]]:
    """Yield (number of the prompt, token), text by text and from left to right."""
    after = tokenizer.encode(config.suffix)
    ends = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    for row, (before, seed) in enumerate(zip(ids, seeds, strict=True)):
        written = unmask(model, before, after, config, seed=seed, vocab_size=tokenizer.vocab_size, never=ends)
        yield from ((row, token) for token in written)


def _chooser(config: SamplingConfig, seeds: Sequence[int], vocab_size: int | None) -> Choose:
    """Return what draws the next token of each prompt from its own seed."""
    if config.temperature == 0:
        return lambda logits, _rows: most_likely(logits[:, :vocab_size])
    generators: dict[int, torch.Generator] = {}

    def choose(logits: Tensor, rows: Sequence[int]) -> list[int]:
        drawn = []
        for row, own in zip(rows, torch.split(logits[:, :vocab_size].cpu(), 1), strict=True):
            if row not in generators:
                generators[row] = torch.Generator().manual_seed(seeds[row])
            drawn.append(int(sample(filtered_log_probs(own, config), generators[row])))
        return drawn

    return choose


def _check_ids(model: LanguageModel, ids: Set[int]) -> None:
    for token in ids:
        if not 0 <= token < model.vocab_size:
            raise DataError(
                f"token id {token} is outside of the model's vocabulary of {model.vocab_size}; "
                f"encode with the model's own tokenizer."
            )
