"""Write by filling gaps: all tokens of a text are hidden at first, and some are told in each pass.

In each pass the model reads the whole text, what is hidden as the mask, and gives each hidden token its
probabilities, from which a token is drawn. Which of them stay is chosen

    confidence   by the probability of what was drawn, the highest (Chang et al., arXiv 2202.04200)
    random       at random

and all others stay hidden. With one token in each pass and the random order a text is drawn from the mean
over all orders, the very distribution whose nats `lmexp.scoring.bound` bounds. Fewer passes draw tokens at
once as if they did not depend on each other, and confidence trades variety for text that hangs together.

What is given, before the gap and after it, is read in each pass and never changed. How long a text is, is
said and not drawn, since ends of text are never hidden in training. A text that does not fit into the context
is written in blocks of half of it, from left to right; then nothing can be given after it.

Shapes: n hidden tokens, V vocabulary.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.sampling import filtered_log_probs, most_likely, sample
from lmexp.models.network import MaskedNetwork


def unmask(
    model: MaskedNetwork,
    before: Sequence[int],
    after: Sequence[int],
    config: SamplingConfig,
    *,
    seed: int,
    vocab_size: int,
    never: Set[int] = frozenset(),
) -> list[int]:
    """Return the `config.max_new_tokens` ids that stand between `before`, at least one id, and `after`.

    They are below `vocab_size` and none of `never`.
    Errors: `DataError` where what is given after a text leaves too little room for it.
    """
    limit, number = model.context_length, config.max_new_tokens
    assert limit is not None, "a network with a mask has a limit"
    fits = len(before) + number + len(after) <= limit
    if after and not fits:
        raise DataError(
            f"the model reads {limit} tokens at once, and the text before ({len(before)}), the text after "
            f"({len(after)}) and max_new_tokens ({number}) between them are more; shorten one of them."
        )
    size = number if fits else max(1, limit // 2)
    passes = number if config.steps is None else min(config.steps, number)
    filling = _Filling(
        model, config, torch.Generator().manual_seed(seed), vocab_size, torch.tensor(sorted(never)).long()
    )
    written: list[int] = []
    while len(written) < number:
        block = min(size, number - len(written))
        context = [*before, *written][-(limit - block - len(after)) :]
        ids = torch.tensor([[*context, *[model.mask_token_id] * block, *after]], device=model.device)
        filling.fill(ids, torch.arange(len(context), len(context) + block), -(-passes * block // number))
        written += ids[0, len(context) : len(context) + block].tolist()
    return written


@dataclass(frozen=True)
class _Filling:
    """How the gaps of one text are filled."""

    model: MaskedNetwork
    config: SamplingConfig
    generator: torch.Generator
    vocab_size: int
    never: Tensor

    @torch.inference_mode()
    def fill(self, ids: Tensor, hidden: Tensor, passes: int) -> None:
        """Put tokens in the places ``hidden [n]`` of ``ids [1, T]``, in so many passes, at most n."""
        block = len(hidden)
        for done in range(passes):
            number = block * (done + 1) // passes - block * done // passes
            logits = self.model.logits(self.model.hidden_states(ids)[0, hidden.to(ids.device)])
            chosen, tokens = self._choose(logits[:, : self.vocab_size].cpu(), number)
            ids[0, hidden[chosen].to(ids.device)] = tokens.to(ids.device)
            is_left = torch.ones(len(hidden), dtype=torch.bool)
            is_left[chosen] = False
            hidden = hidden[is_left]

    def _choose(self, logits: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Return which hidden tokens are told, by their number, and what they are, [number] each."""
        logits[:, self.never] = float("-inf")
        if self.config.order == "random":
            chosen = torch.randperm(len(logits), generator=self.generator)[:number]
            return chosen, self._draw(logits[chosen])
        drawn = self._draw(logits)
        sure = logits.double().log_softmax(dim=-1).gather(1, drawn[:, None])[:, 0]
        chosen = sure.argsort(descending=True, stable=True)[:number]
        return chosen, drawn[chosen]

    def _draw(self, logits: Tensor) -> Tensor:
        """Return a token for each row of ``logits [n, V]``, [n]."""
        if self.config.temperature == 0:
            return torch.tensor(most_likely(logits))
        return sample(filtered_log_probs(logits, self.config), self.generator)
