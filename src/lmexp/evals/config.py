"""What is measured on a trained model."""

from lmexp.core.values.config import option
from lmexp.errors import ConfigError
from lmexp.evals.tasks.primer_tasks import PRIMER_TASKS
from lmexp.models.device import DeviceConfig
from lmexp.scoring.config import ContinuousCacheConfig, cannot_remember

PYTHON_TASKS: dict[str, str] = {
    "python_identifier": "an identifier that is in scope, swapped for another one in scope",
    "python_operator": "an operator, swapped for another",
    "python_bracket": "a bracket, swapped for one of another kind",
    "python_argument": "two arguments of a call, swapped",
}
"""Tasks of minimal pairs made from the test split, and what each one corrupts."""

TASKS: dict[str, str] = {
    **PYTHON_TASKS,
    **PRIMER_TASKS,
    "sentence_choice": "which of two words that sound alike belongs in a sentence",
}
"""Names of the embedded prompt tasks and what each one asks."""


class PerplexityConfig(DeviceConfig):
    """Perplexity and bits per byte on held-out documents."""

    splits: tuple[str, ...] = option(default=("test",), choices=("validation", "test"))
    """Splits that are scored."""

    context_length: int | None = option(default=None, ge=1, absent_means=None)
    """Most tokens that are read before the one that is scored, at most the model's context_length; null
    means the model's."""

    stride: int | None = option(default=None, ge=1)
    """Tokens by which the scoring window moves, at most the context_length; null means half of it.
    Every token is scored once, in the first window that holds it."""

    score_ends: bool = option(default=False, absent_means=False)
    """Also score the token that ends each document, given the whole of it. With one sentence a document this
    is Penn Treebank's protocol: the end of a sentence is predicted, its beginning never."""

    as_one_text: bool = option(default=False, absent_means=False)
    """Whether the documents of a split are one text, each read after all before it, as recurrent models of
    words are compared on Penn Treebank and WikiText; needs `score_ends`, which stand between them. With a
    `limit` its documents follow each other in the order of their hash."""

    limit: int | None = option(default=None, ge=1)
    """Documents scored of each split, in order of their hash; null scores all."""

    continuous_cache: ContinuousCacheConfig = option(
        default=ContinuousCacheConfig(), absent_means=ContinuousCacheConfig()
    )
    """Whether a memory of the document that is scored is mixed with the model, if it is a network that reads
    without a limit."""

    draws: int = option(default=32, ge=2, le=1_000_000, absent_means=32)
    """Draws of hidden tokens by which a bound is estimated, in each window; read only of a model that gives
    a bound and not the likelihood itself. More of them make its error smaller and not its mean."""

    batch_size: int | None = option(default=None, ge=1, placement=True)
    """Most windows in one forward pass; null takes as many as a budget of tokens holds."""

    def check(self) -> None:
        if self.as_one_text and not self.score_ends:
            raise ConfigError("as_one_text reads over the ends of documents; set score_ends=true.")
        if self.continuous_cache.num_tokens is not None and self.context_length is not None:
            raise ConfigError(cannot_remember(f"context_length ({self.context_length}) cuts it into windows"))
        if not self.splits or len(set(self.splits)) != len(self.splits):
            raise ConfigError(f"splits must name each split once, was {list(self.splits)}.")
        if self.stride is not None and self.context_length is not None and self.stride > self.context_length:
            raise ConfigError(
                f"stride ({self.stride}) must be at most context_length ({self.context_length})."
            )


class SizeConfig(DeviceConfig):
    """How large a model is, and the code length of a text together with it."""

    split: str = option(default="test", choices=("validation", "test"))
    """Held-out split whose code length is computed, beside that of the training text."""

    limit: int | None = option(default=16, ge=1)
    """Documents of each split, in order of their hash, by which bits per byte of the whole are estimated;
    null scores all."""

    draws: int = option(default=32, ge=2, le=1_000_000)
    """Draws by which a bound is estimated, as `perplexity.draws`."""

    batch_size: int | None = option(default=None, ge=1, placement=True)
    """Most windows in one forward pass; null takes as many as a budget of tokens holds."""


class PromptsConfig(DeviceConfig):
    """Prompts: choices scored by their log-likelihood, or generated answers compared."""

    tasks: tuple[str, ...] = option(default=tuple(PYTHON_TASKS), choices=tuple(TASKS))
    """Names of embedded tasks; empty leaves them all out."""

    task_files: tuple[str, ...] = option(default=(), by_content=True)
    """YAML files of tasks of one's own (docs/add-a-task.md), asked after `tasks`."""

    num_fewshot: tuple[int, ...] = option(default=(0,), ge=0, le=64)
    """Numbers of worked examples before each item; each number is evaluated."""

    limit: int | None = option(default=500, ge=1)
    """Items of each task; null takes all."""

    permute_labels: bool = option(default=False, absent_means=False)
    """Also evaluate each number of worked examples with their answers permuted among them, which shows
    whether the model reads the answers."""

    seed: int = option(default=1234, ge=0, le=2**63 - 1)
    """Seeds the choice of items, of worked examples and of permutations."""

    batch_size: int | None = option(default=None, ge=1, placement=True)
    """Most sequences in one forward pass; null takes as many as a budget of tokens holds, and 32 where
    answers are generated."""

    def check(self) -> None:
        for name, values, needed in (
            ("tasks", self.tasks, False),
            ("task_files", self.task_files, False),
            ("num_fewshot", self.num_fewshot, True),
        ):
            if (needed and not values) or len(set(values)) != len(values):
                least = "at least one value, each once" if needed else "each value once"
                raise ConfigError(f"{name} must name {least}, was {list(values)}.")
