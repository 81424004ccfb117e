"""The main pipeline: raw text to a measured model.

Read from top to bottom: every line names an artifact that is computed once and then reused.
"""

from lmexp import stages
from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import option
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError
from lmexp.evals.audit.config import AuditConfig
from lmexp.evals.config import PerplexityConfig, PromptsConfig, SizeConfig
from lmexp.generation.config import SamplesConfig
from lmexp.models.config import ModelConfig
from lmexp.models.families import MODELS, NGramConfig
from lmexp.packing.config import PackingConfig
from lmexp.tokenizer.config import TOKENIZERS, TokenizerConfig
from lmexp.training.config import PretrainConfig


class PretrainExperiment(PretrainConfig, RunConfig):
    """The keys of this pipeline: training's, and a group for each stage, documented where it is read."""

    model: ModelConfig = option(default=MODELS.default(), one_of=MODELS)
    corpus: CorpusConfig = option(default=CorpusConfig())
    tokenizer: TokenizerConfig = option(default=TOKENIZERS.default(), one_of=TOKENIZERS)
    packing: PackingConfig = option(default=PackingConfig())
    perplexity: PerplexityConfig = option(default=PerplexityConfig())
    prompts: PromptsConfig = option(default=PromptsConfig())
    samples: SamplesConfig = option(default=SamplesConfig())
    audit: AuditConfig | None = option(default=None)
    """Whether the figures mean what they say; null asks nothing."""
    size: SizeConfig | None = option(default=None)
    """How large the model is, and a text's code length together with it; null counts nothing."""

    def check(self) -> None:
        super().check()
        length = self.resolved_sample_length
        if self.packing.context_length not in (None, length):
            raise ConfigError(
                f"packing.context_length ({self.packing.context_length}) must be the length of a training "
                f"sample ({length}), which is sample_length or else model.context_length."
            )
        context_length = self.model.longest
        for name in ("stride", "context_length"):
            value = getattr(self.perplexity, name)
            if value is not None and context_length is not None and value > context_length:
                raise ConfigError(
                    f"perplexity.{name} ({value}) must be at most model.context_length ({context_length})."
                )


def pipeline(config: PretrainExperiment) -> dict[str, Handle]:
    """Return the stages by name; nothing runs here."""
    corpus = stages.corpus(config.corpus)
    tokenizer = stages.tokenizer_of(config.tokenizer, corpus=corpus)
    model = stages.model(config, config.packing, corpus=corpus, tokenizer=tokenizer)
    made = {"corpus": corpus, "tokenizer": tokenizer, **model.inputs, model.stage.name: model}
    if not config.model.can & {"next_token", "any_order"}:
        return made  # an encoder gives no text a probability: there is nothing to measure so, nor to write
    perplexity = stages.perplexity(config.perplexity, model=model, tokenizer=tokenizer, corpus=corpus)
    samples = stages.samples(config.samples, model=model, tokenizer=tokenizer)
    asked = {}
    if config.audit is not None:
        asked["audit"] = stages.audit(
            config.audit, model=model, tokenizer=tokenizer, corpus=corpus, perplexity=perplexity
        )
    if config.size is not None:
        asked["size"] = stages.size(config.size, model=model, tokenizer=tokenizer, corpus=corpus)
    if "next_token" not in config.model.can:  # prompts compare likelihoods, and bounds cannot be compared
        return {**made, "perplexity": perplexity, **asked, "samples": samples}
    baseline = stages.ngram(NGramConfig(order=2), corpus=corpus, tokenizer=tokenizer)
    prompts = stages.prompts(
        config.prompts, model=model, tokenizer=tokenizer, corpus=corpus, baseline=baseline
    )
    return {
        **made,
        "perplexity": perplexity,
        "baseline": baseline,
        "prompts": prompts,
        "samples": samples,
        **asked,
    }
