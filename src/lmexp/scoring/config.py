"""What may be added to a model while it scores."""

from lmexp.core.values.config import Config, option


class ContinuousCacheConfig(Config):
    """A memory of the last tokens of the document that is scored; see `continuous_cache`."""

    num_tokens: int | None = option(default=None, ge=1, le=1_048_576)
    """Most tokens that are remembered; null remembers none."""

    weight: float = option(default=0.1, gt=0, lt=1)
    """Share of the probability that the memory gives, once it holds a token."""

    flatness: float = option(default=0.3, ge=0, le=1000)
    """How much more a token counts that followed a state alike; at 0 all that are remembered count alike."""


def cannot_remember(what: str) -> str:
    """Return the sentence about a model, or windows, with which nothing can be remembered."""
    return (
        f"continuous_cache remembers the states of a network that reads a document in one pass, and {what}; "
        f"set continuous_cache.num_tokens=null, or measure a model such as lstm without a context_length."
    )
