"""Takes a model, a tokenizer or a corpus that is split already into the store; `lmexp adopt` runs it."""

from lmexp import stages
from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import option
from lmexp.core.values.settings import RunConfig
from lmexp.corpus.config import CorpusConfig
from lmexp.errors import ConfigError
from lmexp.stages.adopted import AdoptedConfig


class AdoptExperiment(RunConfig):
    """What is adopted; one of the three."""

    model: AdoptedConfig | None = option(default=None)
    tokenizer: AdoptedConfig | None = option(default=None)
    corpus: CorpusConfig | None = option(default=None)

    def check(self) -> None:
        if sum(part is not None for part in (self.model, self.tokenizer, self.corpus)) != 1:
            raise ConfigError("adopt takes one of model, tokenizer and corpus.")


def pipeline(config: AdoptExperiment) -> dict[str, Handle]:
    """Return the one stage; nothing runs here."""
    if config.model is not None:
        return {"model": stages.adopted_model(config.model)}
    if config.tokenizer is not None:
        return {"tokenizer": stages.adopted_tokenizer(config.tokenizer)}
    if config.corpus is not None:
        return {"corpus": stages.corpus(config.corpus)}
    return {}
