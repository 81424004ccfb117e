"""How the next token is chosen, and how many there may be."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.core.config import Config, option


class SamplingConfig(Config):
    """Temperature, then top-k, then top-p; all of them off draws from the model's own distribution."""

    refused: ClassVar[Mapping[str, str]] = {
        "do_sample": "temperature=0 is greedy and anything above it samples",
        "num_beams": "there is no beam search",
        "max_length": "max_new_tokens counts without the prompt",
    }

    max_new_tokens: int = option(200, ge=1)
    """Most tokens that are added to the prompt; the end-of-text token ends it sooner."""

    temperature: float = option(1.0, ge=0)
    """Divides the logits: below 1 sharpens the distribution, above 1 flattens it. 0 is greedy: always
    the most likely token, the lowest id of equals."""

    top_k: int | None = option(None, ge=1)
    """Most likely tokens that are kept, the lowest ids of equals; null keeps all."""

    top_p: float | None = option(None, gt=0, le=1)
    """Probability whose smallest set of most likely tokens is kept, after temperature and top-k; null
    or 1 keeps all (nucleus sampling: Holtzman et al., arXiv 1904.09751)."""

    seed: int = option(0, ge=0, le=2**63 - 1)
    """Seeds the draws; the same seed gives the same text."""
