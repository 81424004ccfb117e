"""The packing stage: every document as tokens, in memory-mapped shards."""

import json
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.corpus.config import SPLITS
from lmexp.packing.config import PackingConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.encoding import corpus_encoder
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.packing.store import TokenStore


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
    """Encode each split in document order; each document is followed by the token that begins the next.

    `encoder.json` says what encoded; the tokens do not depend on it. The modes with rows add, for
    each split, `rows`, `padding`, `cut_documents`, `dropped_tokens` and `first_skew`.
    """
    from lmexp.packing.store import pack_rows, pack_split, write_manifest

    reference = tokenizer.load()
    encoder = corpus_encoder(reference, corpus, config.encoder)
    entries, metrics = {}, {}
    for split in SPLITS:
        entries[split] = pack_split(
            map(encoder.encode, corpus.text_batches(split)),
            run.out,
            split,
            vocab_size=reference.vocab_size,
            eos_token_id=reference.bos_token_id,
            shard_tokens=config.shard_tokens,
        )
        for name in ("tokens", "documents", "bytes"):
            metrics[f"{split}/{name}"] = entries[split][name]
        if config.context_length is not None:
            found = pack_rows(
                run.out,
                split,
                entries[split],
                mode=config.mode,
                context_length=config.context_length,
                seed=config.seed,
            )
            metrics |= {f"{split}/{name}": value for name, value in found.items()}
        text_tokens = entries[split]["tokens"] - entries[split]["documents"]
        metrics[f"{split}/bytes_per_token"] = entries[split]["bytes"] / max(1, text_tokens)
    write_manifest(run.out, entries, vocab_size=reference.vocab_size, eos_token_id=reference.bos_token_id)
    record = {**encoder.record, "texts_by_reference": encoder.texts_by_reference}
    (run.out / "encoder.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return metrics
