"""How much an audit asks."""

from lmexp.core.values.config import option
from lmexp.models.device import DeviceConfig

CHECKS: dict[str, str] = {
    "sums_to_one": "the probabilities of all next tokens sum to one",
    "next_bytes": "the probabilities of all next bytes sum to one",
    "chain_rule": "a text scores what its tokens score, asked one by one",
    "later_tokens": "no score depends on a later token",
    "other_documents": "no score depends on another document",
    "batches": "no score depends on what shares its pass",
    "figures": "the figures are the scores of each token, once",
    "bytes": "the bytes of the tokens are the bytes of the text",
    "bound": "the bound is a mean over draws and states its error",
    "test_split": "nothing that made the model read the documents it is measured on",
}
"""Each check's name, and what it shows where it passes."""


class AuditConfig(DeviceConfig):
    """Questions to the scorer that makes the figures; docs/protocols.md says what each check shows."""

    split: str = option(default="test", choices=("validation", "test"))
    """Split whose documents are asked about, and which nothing that made the model may have read."""

    documents: int = option(default=16, ge=2, le=10_000)
    """Documents that are asked about, those whose texts have the lowest hashes."""

    contexts: int = option(default=6, ge=1, le=10_000)
    """Contexts after which every id of the vocabulary is asked about."""

    tokens: int = option(default=48, ge=4, le=4096)
    """Tokens of each document that are asked about, at most the model's context, and most of a context."""

    seed: int = option(default=1234, ge=0, le=2**63 - 1)
    """Seeds the choice of contexts, of cuts and of what later tokens are changed to."""
