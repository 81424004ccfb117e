"""The distribution over the next token, and what temperature, top-k and top-p leave of it.

Two probabilities of a token stand side by side:

    p       softmax(logits) over all ids of the model: what the model says
    drawn   what `lmexp.generation.sampling` makes of the same logits over the tokenizer's ids, which is the
            probability that a generation takes the token; 0 where top-k or top-p cut it off

Tokens are ranked by p, the lowest id first among equals, as top-k and top-p rank them: of the tokenizer's
ids what is cut off is the end of the ranking. A prompt is read as for a generation: of one longer than the
model's context the last context_length tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch

from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import encode_prompts
from lmexp.generation.sampling import filtered_log_probs
from lmexp.models.interface import LanguageModel, streaming
from lmexp.tokenizer.spelling import spelled_token
from lmexp.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class NextToken:
    """One token that may come next."""

    id: int
    text: str
    """What it stands for, as `lmexp.tokenizer.spelling` shows it."""
    log_prob: float
    """ln p, in nats."""
    drawn: float
    """Probability with which a generation takes it; 0 where it is cut off."""


@dataclass(frozen=True)
class NextTokens:
    """The most likely next tokens, and what is left for all others."""

    tokens: tuple[NextToken, ...]
    """Most likely first."""
    num_others: int
    """Ids that are not among `tokens`."""
    others_prob: float
    """Sum of their p."""
    others_drawn: float
    """Sum of their drawn."""
    num_kept: int
    """Ids that a generation may take."""
    kept_prob: float
    """Sum of their p."""


def next_tokens(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, config: SamplingConfig, *, limit: int | None = 20
) -> NextTokens:
    """Return the `limit` most likely tokens after `prompt`, or all; an empty prompt begins a document.

    Errors: `DataError` where the prompt is no text, the model gives no next token a probability or none
    that is finite, or the tokenizer is not its own.
    """
    (ids,) = encode_prompts(model, tokenizer, [prompt])
    reader = streaming(model, "next")
    if reader.context_length is not None:
        ids = ids[-reader.context_length :]
    found = reader.step(np.array([ids], dtype=np.int64), [len(ids)], reader.begin(1))
    logits = torch.as_tensor(found).to("cpu", torch.float64)
    log_probs = filtered_log_probs(logits, SamplingConfig())[0]
    left = filtered_log_probs(logits[:, : tokenizer.vocab_size], config)[0]
    drawn = torch.zeros_like(log_probs)
    drawn[: len(left)] = left.exp()
    kept = torch.zeros_like(log_probs, dtype=torch.bool)
    kept[: len(left)] = left.isfinite()
    order = logits[0].sort(descending=True, stable=True).indices
    shown = order[:limit].tolist()
    probs, others = log_probs.exp(), order[len(shown) :]
    return NextTokens(
        tokens=tuple(
            NextToken(i, spelled_token(tokenizer, i), float(log_probs[i]), float(drawn[i])) for i in shown
        ),
        num_others=len(others),
        others_prob=float(probs[others].sum()),
        others_drawn=float(drawn[others].sum()),
        num_kept=int(kept.sum()),
        kept_prob=float(probs[kept].sum()),
    )
