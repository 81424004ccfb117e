"""The main pipeline: raw text to a measured model.

Read from top to bottom: every line names an artifact that is computed once and then reused.
"""

from lmexp import stages
from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import option, part
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError
from lmexp.evals.config import PerplexityConfig, PromptsConfig
from lmexp.generation.config import SamplesConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.adopted import AdoptedConfig
from lmexp.tokenizer.config import TokenizerConfig
from lmexp.training.config import PretrainConfig


class PretrainExperiment(PretrainConfig, RunConfig):
    """The keys of this pipeline: training's, and a group for each stage, documented where it is read."""

    corpus: CorpusConfig = option(default=CorpusConfig())
    tokenizer: TokenizerConfig = option(default=TokenizerConfig())
    packing: PackingConfig = option(default=PackingConfig())
    perplexity: PerplexityConfig = option(default=PerplexityConfig())
    prompts: PromptsConfig = option(default=PromptsConfig())
    samples: SamplesConfig = option(default=SamplesConfig())

    def check(self) -> None:
        super().check()
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
    corpus = stages.corpus(config.corpus)
    if config.tokenizer.path is None:
        tokenizer = stages.tokenizer(config.tokenizer, corpus=corpus)
    else:
        tokenizer = stages.adopted_tokenizer(AdoptedConfig(path=config.tokenizer.path))
    packing = stages.packing(config.packing, corpus=corpus, tokenizer=tokenizer)
    model = stages.pretrain(part(config, PretrainConfig), packing=packing, tokenizer=tokenizer)
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
