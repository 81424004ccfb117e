"""What an evaluation needs of the model, checked before it is made where it can be known.

A model of this run has its context in its configuration: that has not to wait for a training to end.
"""

from collections.abc import Mapping

from lmexp.core.stage import Upstream
from lmexp.errors import ConfigError, DataError
from lmexp.evals.config import PerplexityConfig, PromptsConfig
from lmexp.evals.tasks import task_files


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
    """Raise `ConfigError` where the window is wider than the model's context."""
    length = _context_length(upstream)
    if length is not None and config.context_length is not None:
        require_window(config.context_length, length)


def require_window(context_length: int, most: int) -> None:
    """Raise `ConfigError` for a window of `context_length` where the model's context has `most` tokens."""
    if context_length > most:
        raise ConfigError(
            f"perplexity.context_length ({context_length}) must be at most the model's, {most}."
        )


def _context_length(upstream: Mapping[str, Upstream]) -> int | None:
    """Return the model's context where it is known."""
    trained, adopted = upstream.get("pretrain"), upstream.get("adopted_model")
    if trained is not None:
        return int(trained.config.model.context_length)
    if adopted is not None and adopted.metrics is not None:
        return int(adopted.metrics["context_length"])
    return None
