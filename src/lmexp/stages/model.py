"""From the configuration of a model to the stages that make it: counting, or packing and training."""

from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import part
from lmexp.models.families import NGramConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.ngram import ngram
from lmexp.stages.packing import packing
from lmexp.stages.pretrain import pretrain
from lmexp.training.config import PretrainConfig


def model(config: PretrainConfig, packed: PackingConfig, *, corpus: Handle, tokenizer: Handle) -> Handle:
    """Return the handle of `config.model`. Counts need a corpus and a tokenizer alone; what only training
    needs, `packed` too, is read where a network is trained."""
    if isinstance(config.model, NGramConfig):
        return ngram(config.model, corpus=corpus, tokenizer=tokenizer)
    samples = packing(packed, corpus=corpus, tokenizer=tokenizer)
    return pretrain(part(config, PretrainConfig), packing=samples, tokenizer=tokenizer)
