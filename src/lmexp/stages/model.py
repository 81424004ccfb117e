"""From the configuration of a model to the stages that make it: counting, or packing and training."""

from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import part
from lmexp.models.families import NGramConfig
from lmexp.packing.config import PackingConfig
from lmexp.stages.ngram import ngram
from lmexp.stages.packing import packing
from lmexp.stages.pretrain import pretrain
from lmexp.training.config import PretrainConfig


def model(
    config: PretrainConfig, packed: PackingConfig | Handle, *, corpus: Handle, tokenizer: Handle
) -> Handle:
    """Return the handle of `config.model`. Counts need a corpus and a tokenizer alone; what only training
    needs is read where a network is trained: `packed`, how to pack, or what is packed for several models."""
    if isinstance(config.model, NGramConfig):
        return ngram(config.model, corpus=corpus, tokenizer=tokenizer)
    if not isinstance(packed, Handle):
        packed = packing(packed, corpus=corpus, tokenizer=tokenizer)
    return pretrain(part(config, PretrainConfig), packing=packed, tokenizer=tokenizer)
