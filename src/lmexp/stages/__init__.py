"""The stages: one file each, the thin layer that joins the engine and the domain."""

from lmexp.stages.adopted import adopted_model, adopted_tokenizer
from lmexp.stages.corpus import CorpusArtifact, corpus
from lmexp.stages.measures.audit import AuditArtifact, audit
from lmexp.stages.measures.size import SizeArtifact, size
from lmexp.stages.model import model
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.ngram import ngram
from lmexp.stages.packing import PackingArtifact, packing
from lmexp.stages.perplexity import PerplexityArtifact, perplexity
from lmexp.stages.pretrain import pretrain
from lmexp.stages.prompts import PromptsArtifact, prompts
from lmexp.stages.samples import SamplesArtifact, samples
from lmexp.stages.tokenizer import TokenizerArtifact, made_tokenizer, tokenizer
from lmexp.stages.tokenizer_of import tokenizer_of

__all__ = [
    "AuditArtifact",
    "CorpusArtifact",
    "ModelArtifact",
    "PackingArtifact",
    "PerplexityArtifact",
    "PromptsArtifact",
    "SamplesArtifact",
    "SizeArtifact",
    "TokenizerArtifact",
    "adopted_model",
    "adopted_tokenizer",
    "audit",
    "corpus",
    "made_tokenizer",
    "model",
    "ngram",
    "packing",
    "perplexity",
    "pretrain",
    "prompts",
    "samples",
    "size",
    "tokenizer",
    "tokenizer_of",
]
