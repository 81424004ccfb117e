"""Measures a model that something else trained: any folder that Hugging Face reads as Qwen3 or GPT-2."""

from lmexp import stages
from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import option
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.evals.audit.config import AuditConfig
from lmexp.evals.config import PerplexityConfig, PromptsConfig, SizeConfig
from lmexp.models.families import NGramConfig
from lmexp.stages.adopted import AdoptedConfig


class EvaluateExperiment(RunConfig):
    """The keys of this pipeline; each group is documented where it is read."""

    model: AdoptedConfig = option()
    corpus: CorpusConfig = option(default=CorpusConfig())
    perplexity: PerplexityConfig = option(default=PerplexityConfig())
    prompts: PromptsConfig = option(default=PromptsConfig())
    audit: AuditConfig | None = option(default=None)
    """Whether the figures mean what they say; null asks nothing."""
    size: SizeConfig | None = option(default=None)
    """How large the model is, and a text's code length together with it; null counts nothing."""


def pipeline(config: EvaluateExperiment) -> dict[str, Handle]:
    """Return the stages by name; nothing runs here."""
    model = stages.adopted_model(config.model)
    tokenizer = stages.adopted_tokenizer(config.model)
    corpus = stages.corpus(config.corpus)
    baseline = stages.ngram(NGramConfig(order=2), corpus=corpus, tokenizer=tokenizer)
    perplexity = stages.perplexity(config.perplexity, model=model, tokenizer=tokenizer, corpus=corpus)
    prompts = stages.prompts(
        config.prompts, model=model, tokenizer=tokenizer, corpus=corpus, baseline=baseline
    )
    asked = {}
    if config.audit is not None:
        asked["audit"] = stages.audit(
            config.audit, model=model, tokenizer=tokenizer, corpus=corpus, perplexity=perplexity
        )
    if config.size is not None:
        asked["size"] = stages.size(config.size, model=model, tokenizer=tokenizer, corpus=corpus)
    return {
        "model": model,
        "tokenizer": tokenizer,
        "corpus": corpus,
        "perplexity": perplexity,
        "baseline": baseline,
        "prompts": prompts,
        **asked,
    }
