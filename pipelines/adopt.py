"""Takes a model or a tokenizer into the store; `lmexp adopt` runs it."""

from lmexp import stages
from lmexp.core.config import option
from lmexp.core.settings import RunConfig
from lmexp.core.stage import Handle
from lmexp.errors import ConfigError
from lmexp.stages.adopted import AdoptedConfig


class AdoptExperiment(RunConfig):
    """What is adopted; one of the two."""

    model: AdoptedConfig | None = option(None)
    tokenizer: AdoptedConfig | None = option(None)

    def check(self) -> None:
        if (self.model is None) == (self.tokenizer is None):
            raise ConfigError("adopt takes either model.path or tokenizer.path.")


def pipeline(config: AdoptExperiment) -> dict[str, Handle]:
    """Return the one stage; nothing runs here."""
    if config.model is not None:
        return {"model": stages.adopted_model(config.model)}
    if config.tokenizer is not None:
        return {"tokenizer": stages.adopted_tokenizer(config.tokenizer)}
    return {}
