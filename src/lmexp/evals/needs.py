"""What an evaluation needs of the model, checked before it is made where it can be known.

A model of this run has its context in its configuration: that has not to wait for a training to end.
"""

from collections.abc import Mapping

from lmexp.core.graph.stage import Upstream
from lmexp.errors import ConfigError, DataError
from lmexp.evals.config import PerplexityConfig, PromptsConfig
from lmexp.evals.tasks.tasks import task_files
from lmexp.scoring.config import cannot_remember


def check_prompts(config: PromptsConfig, upstream: Mapping[str, Upstream]) -> None:
    """Raise `DataError` where a task writes answers that are longer than the model's context."""
    length = _context_length(upstream)
    if length is None:
        return
    for file in task_files(config):
        if file.exact_match is not None and file.exact_match.max_new_tokens > length:
            raise DataError(no_room(f"{file.path}: the task", file.exact_match.max_new_tokens, length))


def no_room(who: str, max_new_tokens: int, context_length: int) -> str:
    """Return the sentence about answers that leave no room for a prompt."""
    return (
        f"{who} generates up to {max_new_tokens} tokens, but the model's context has {context_length}; lower "
        f"its max_new_tokens or raise model.context_length."
    )


def check_perplexity(config: PerplexityConfig, upstream: Mapping[str, Upstream]) -> None:
    """Raise `ConfigError` where the window, or its stride, is wider than the model's context, or
    where a model with a context should remember."""
    length = _context_length(upstream)
    if length is None:
        return
    require_window(config, length)
    if config.continuous_cache.num_tokens is not None:
        raise ConfigError(cannot_remember(f"this model has a context of {length} tokens"))


def require_window(config: PerplexityConfig, context_length: int) -> None:
    """Raise `ConfigError` where a model of `context_length` cannot read the windows of `config`."""
    for name in ("context_length", "stride"):
        value = getattr(config, name)
        if value is not None and value > context_length:
            raise ConfigError(
                f"perplexity.{name} ({value}) must be at most the model's context, {context_length}."
            )


def _context_length(upstream: Mapping[str, Upstream]) -> int | None:
    """Return the model's context where it is known, and has an end."""
    trained, adopted = upstream.get("pretrain"), upstream.get("adopted_model")
    if trained is not None:
        longest: int | None = trained.config.model.longest
        return longest
    if adopted is not None and adopted.metrics is not None:
        found = adopted.metrics.get("context_length")
        return None if found is None else int(found)
    return None
