"""From the configuration of a tokenizer to the stage that gives it: adopted, trained or made."""

from lmexp.core.graph.stage import Handle
from lmexp.stages.adopted import AdoptedConfig, adopted_tokenizer
from lmexp.stages.tokenizer import MadeTokenizerConfig, made_tokenizer, tokenizer
from lmexp.tokenizer.config import ByteBPEConfig, TokenizerConfig


def tokenizer_of(config: TokenizerConfig, *, corpus: Handle) -> Handle:
    """Return the handle of the tokenizer that `config` describes; an adopted one needs no corpus."""
    if config.adopted is not None:
        return adopted_tokenizer(AdoptedConfig(path=config.adopted))
    if isinstance(config, ByteBPEConfig):
        return tokenizer(config, corpus=corpus)
    return made_tokenizer(MadeTokenizerConfig(tokenizer=config), corpus=corpus)
