"""The ngram stage: a corpus counted under a tokenizer."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Metrics, StageRun, stage
from lmexp.models.families import NGramConfig
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.encoding import corpus_encoder
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from lmexp.tokenizer.tokenizer import Tokenizer


@stage("ngram", version=1, produces=ModelArtifact, label=lambda config: config.label)
def ngram(
    run: StageRun, config: NGramConfig, *, corpus: CorpusArtifact, tokenizer: TokenizerArtifact
) -> Metrics:
    """Count the train split, each document by itself.

    Beside `vocab_size`, metrics are what was estimated: `discount_<order>`, or `discount_<order>_<count>` of
    three, with `fixed_discounts`, the number of orders whose counts were too few to estimate any, and
    `interpolation_weight_<order>`.
    """
    from lmexp.models.build import count_model
    from lmexp.models.folder import save_counts
    from lmexp.tokenizer.export import export_tokenizer

    encoder = tokenizer.load()
    with tempfile.TemporaryDirectory(dir=run.work) as folder:
        counted = count_model(
            config,
            _documents(corpus, encoder),
            vocab_size=encoder.vocab_size,
            bos_token_id=encoder.bos_token_id,
            folder=Path(folder),
        )
        save_counts(counted, run.out)
    files = [*tokenizer.files("tokenizer*"), *tokenizer.files("special_tokens*")]
    export_tokenizer(files, run.out, model_max_length=None)
    return {"vocab_size": encoder.vocab_size, **counted.facts}


def _documents(corpus: CorpusArtifact, encoder: "Tokenizer") -> "Iterator[NDArray[np.int64]]":
    """Yield the ids of the train split, many documents at a time, each behind the token that begins one."""
    import numpy as np

    encode = corpus_encoder(encoder, corpus).encode
    for texts in corpus.text_batches("train"):
        encoded = encode(texts)
        begins = np.cumsum(encoded.num_tokens + 1) - (encoded.num_tokens + 1)
        ids = np.full(len(encoded.ids) + len(begins), encoder.bos_token_id, dtype=np.int64)
        is_text = np.ones(len(ids), dtype=bool)
        is_text[begins] = False
        ids[is_text] = encoded.ids
        if len(ids):
            yield ids
