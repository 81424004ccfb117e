"""Models of many families on one text: each made, measured on the same documents, and written with.

Every row is the experiment with what the row names in its place: a model at least, and where that needs it
an objective, an optimizer or another length of training. A group that a row names is its own as a whole, with
the defaults of that group's configuration. All rows read one corpus under one tokenizer.
"""

from lmexp import stages
from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import Config, option, part, replace
from lmexp.core.values.one_of import OneOf, names
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError
from lmexp.evals.audit.config import AuditConfig
from lmexp.evals.config import PerplexityConfig, PromptsConfig, SizeConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.config import ModelConfig
from lmexp.models.families import MODELS
from lmexp.packing.config import PackingConfig
from lmexp.tokenizer.config import TOKENIZERS, TokenizerConfig
from lmexp.training.config import PretrainConfig, TrainerConfig
from lmexp.training.objectives.config import OBJECTIVES, ObjectiveConfig
from lmexp.training.optimization.config import OptimizerConfig, ScheduleConfig


class RowConfig(Config):
    """One model of the leaderboard; what is null is the experiment's, and a group that is given is whole."""

    model: ModelConfig = option(default=MODELS.default(), one_of=MODELS)
    """The model."""

    objective: ObjectiveConfig = option(default=OBJECTIVES.default(), one_of=OBJECTIVES)
    """What it is trained to do."""

    optimizer: OptimizerConfig | None = option(default=None)
    """How its weights move."""

    schedule: ScheduleConfig | None = option(default=None)
    """Learning rate over steps."""

    trainer: TrainerConfig | None = option(default=None)
    """Lightning's Trainer arguments."""

    global_batch_size: int | None = option(default=None, ge=1)
    """Sequences in one optimizer step."""

    validation_every_steps: int | None = option(default=None, ge=1)
    """Steps between two looks at the validation split."""


ROWS = OneOf(key="kind", kinds={"model": RowConfig}, unnamed="model")
"""The configurations of rows."""

_TAKEN = ("corpus", "tokenizer", "packing")
"""Names of the stages that all rows share."""


class ModelTraining(PretrainConfig):
    """How a model of any family comes about; what counts reads its `model` alone."""

    model: ModelConfig = option(default=MODELS.default(), one_of=MODELS)


class LeaderboardExperiment(ModelTraining, RunConfig):
    """The keys of this pipeline: those of training hold for all rows that do not set them."""

    rows: dict[str, RowConfig] = option(each_of=ROWS)
    corpus: CorpusConfig = option(default=CorpusConfig())
    tokenizer: TokenizerConfig = option(default=TOKENIZERS.default(), one_of=TOKENIZERS)
    packing: PackingConfig = option(default=PackingConfig())
    audit: AuditConfig = option(default=AuditConfig())
    size: SizeConfig = option(default=SizeConfig())
    perplexity: PerplexityConfig = option(default=PerplexityConfig())
    prompts: PromptsConfig = option(default=PromptsConfig())
    samples: SamplesConfig = option(default=SamplesConfig())

    def check(self) -> None:
        super().check()
        if len(self.rows) < 2:
            named = ", ".join(self.rows) or "empty"
            raise ConfigError(f"rows must name two models or more, which are compared; was {named}.")
        for name in self.rows:
            if not name.isidentifier() or name in _TAKEN:
                raise ConfigError(
                    f"rows.{name} is no name for a model here; use letters, digits and _, and none of "
                    f"{', '.join(_TAKEN)}."
                )
            self.of(name)

    def of(self, name: str) -> ModelTraining:
        """Return the training of a row. Errors: `ConfigError` for what cannot be trained."""
        row = self.rows[name]
        given = {key: getattr(row, key) for key in names(RowConfig)}
        changed = {key: value for key, value in given.items() if value is not None}
        try:
            return replace(part(self, ModelTraining), **changed)
        except ConfigError as error:
            raise ConfigError(f"rows.{name}: {error}") from None


def pipeline(config: LeaderboardExperiment) -> dict[str, Handle]:
    """Return the stages by name, those of a row after its model; nothing runs here."""
    corpus = stages.corpus(config.corpus)
    tokenizer = stages.tokenizer_of(config.tokenizer, corpus=corpus)
    packing = stages.packing(config.packing, corpus=corpus, tokenizer=tokenizer)
    made = {"corpus": corpus, "tokenizer": tokenizer, "packing": packing}
    for name in config.rows:
        training = config.of(name)
        model = stages.model(training, packing, corpus=corpus, tokenizer=tokenizer)
        made[name], can = model, training.model.can
        measured = {"model": model, "tokenizer": tokenizer, "corpus": corpus}
        if can & {"next_token", "any_order"}:
            made[f"perplexity_{name}"] = stages.perplexity(config.perplexity, **measured)
            made[f"audit_{name}"] = stages.audit(config.audit, **measured)
            made[f"size_{name}"] = stages.size(config.size, **measured)
            made[f"samples_{name}"] = stages.samples(config.samples, model=model, tokenizer=tokenizer)
        if "next_token" in can and (config.prompts.tasks or config.prompts.task_files):
            made[f"prompts_{name}"] = stages.prompts(config.prompts, **measured)
    return made
