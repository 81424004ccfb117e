"""The packing stage: every document as tokens, in memory-mapped shards."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from lmexp.core.stage import Artifact, Metrics, StageRun, stage
from lmexp.packing.config import PackingConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.packing.store import TokenStore
    from lmexp.tokenizer.tokenizer import Tokenizer

_BATCH_DOCUMENTS = 256
SPLITS = ("train", "validation", "test")


class PackingArtifact(Artifact):
    """Token shards of each split."""

    def load(self) -> "TokenStore":
        """Open the shards."""
        from lmexp.packing.store import TokenStore

        return TokenStore.open(self.path)


@stage("packing", version=1, produces=PackingArtifact, label=lambda config: config.mode)
def packing(
    run: StageRun, config: PackingConfig, *, corpus: CorpusArtifact, tokenizer: TokenizerArtifact
) -> Metrics:
    """Encode each split in document order; each document is followed by the end-of-text token.

    The modes with rows add, for each split, `rows`, `padding`, `cut_documents` and `dropped_tokens`.
    """
    from lmexp.packing.store import pack_rows, pack_split, write_manifest

    encoder = tokenizer.load()
    entries, metrics = {}, {}
    for split in SPLITS:
        entries[split] = pack_split(
            _encoded(corpus, split, encoder),
            run.out,
            split,
            vocab_size=encoder.vocab_size,
            eos_token_id=encoder.eos_token_id,
            shard_tokens=config.shard_tokens,
        )
        for name in ("tokens", "documents", "bytes"):
            metrics[f"{split}/{name}"] = entries[split][name]
        if config.context_length is not None:
            found = pack_rows(
                run.out, split, entries[split], mode=config.mode, context_length=config.context_length
            )
            metrics |= {f"{split}/{name}": value for name, value in found.items()}
        text_tokens = entries[split]["tokens"] - entries[split]["documents"]
        metrics[f"{split}/bytes_per_token"] = entries[split]["bytes"] / max(1, text_tokens)
    write_manifest(run.out, entries, vocab_size=encoder.vocab_size, eos_token_id=encoder.eos_token_id)
    return metrics


def _encoded(corpus: CorpusArtifact, split: str, encoder: "Tokenizer") -> Iterator[tuple[list[int], int]]:
    """Yield (token ids, UTF-8 bytes) of each document, a bounded number in memory at a time."""
    documents = corpus.documents(split)
    while batch := [document.text for document in islice(documents, _BATCH_DOCUMENTS)]:
        for text, ids in zip(batch, encoder.encode_batch(batch), strict=True):
            yield ids, len(text.encode())
