"""The main pipeline: raw text to a measured model.

Read from top to bottom: every line names an artifact that is computed once and then reused.
"""

from lmexp import stages
from lmexp.core.config import option
from lmexp.core.settings import RunConfig
from lmexp.core.stage import Handle
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError
from lmexp.evals.config import PerplexityConfig, PromptsConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.config import NetworkConfig
from lmexp.models.families import NETWORKS
from lmexp.packing.config import PackingConfig
from lmexp.stages.adopted import AdoptedConfig
from lmexp.tokenizer.config import TokenizerConfig
from lmexp.training.config import OptimizerConfig, PretrainConfig, ScheduleConfig, TrainerConfig


class PretrainExperiment(RunConfig):
    """The keys of this pipeline; each group is documented where it is read."""

    seed: int = option(0, ge=0, le=2**63 - 1)
    global_batch_size: int = option(32, ge=1)
    micro_batch_size: int | None = option(None, ge=1, placement=True)
    train_samples: int | None = option(None, ge=1)
    document_masking: bool = option(False)
    validation_every_steps: int | None = option(None, ge=1)
    validation_samples: int = option(64, ge=1)
    publish: str = option("last", choices=("last", "best"))
    publish_steps: tuple[int, ...] = option((), ge=1)
    checkpoint_every_steps: int = option(100, ge=1, placement=True)
    keep_checkpoints: int = option(1, ge=1, placement=True)
    corpus: CorpusConfig = option(CorpusConfig())
    tokenizer: TokenizerConfig = option(TokenizerConfig())
    packing: PackingConfig = option(PackingConfig())
    model: NetworkConfig = option(one_of=NETWORKS)
    optimizer: OptimizerConfig = option(OptimizerConfig())
    schedule: ScheduleConfig = option(ScheduleConfig())
    trainer: TrainerConfig = option()
    perplexity: PerplexityConfig = option(PerplexityConfig())
    prompts: PromptsConfig = option(PromptsConfig())
    samples: SamplesConfig = option(SamplesConfig())

    def check(self) -> None:
        context_length = self.model.context_length
        if self.packing.context_length not in (None, context_length):
            raise ConfigError(
                f"packing.context_length ({self.packing.context_length}) must be model.context_length "
                f"({context_length}); leave it to packing={self.packing.mode}."
            )
        for name in ("stride", "context_length"):
            value = getattr(self.perplexity, name)
            if value is not None and value > context_length:
                raise ConfigError(
                    f"perplexity.{name} ({value}) must be at most model.context_length ({context_length})."
                )


def pipeline(config: PretrainExperiment) -> dict[str, Handle]:
    """Return the stages by name; nothing runs here."""
    training = PretrainConfig(
        seed=config.seed,
        model=config.model,
        optimizer=config.optimizer,
        schedule=config.schedule,
        trainer=config.trainer,
        global_batch_size=config.global_batch_size,
        micro_batch_size=config.micro_batch_size,
        train_samples=config.train_samples,
        document_masking=config.document_masking,
        validation_every_steps=config.validation_every_steps,
        validation_samples=config.validation_samples,
        publish=config.publish,
        publish_steps=config.publish_steps,
        checkpoint_every_steps=config.checkpoint_every_steps,
        keep_checkpoints=config.keep_checkpoints,
    )
    corpus = stages.corpus(config.corpus)
    if config.tokenizer.path is None:
        tokenizer = stages.tokenizer(config.tokenizer, corpus=corpus)
    else:
        tokenizer = stages.adopted_tokenizer(AdoptedConfig(path=config.tokenizer.path))
    packing = stages.packing(config.packing, corpus=corpus, tokenizer=tokenizer)
    model = stages.pretrain(training, packing=packing, tokenizer=tokenizer)
    perplexity = stages.perplexity(config.perplexity, model=model, tokenizer=tokenizer, corpus=corpus)
    prompts = stages.prompts(config.prompts, model=model, tokenizer=tokenizer, corpus=corpus, packing=packing)
    samples = stages.samples(config.samples, model=model, tokenizer=tokenizer)
    return {
        "corpus": corpus,
        "tokenizer": tokenizer,
        "packing": packing,
        "pretrain": model,
        "perplexity": perplexity,
        "prompts": prompts,
        "samples": samples,
    }
