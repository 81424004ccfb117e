"""The size stage: the bytes of a model, and what it takes to tell a text by it, beside compressors."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.graph.stage import Artifact, Metrics, StageRun, stage
from lmexp.evals.config import SizeConfig
from lmexp.models.device import check_device, computing
from lmexp.stages.corpus import CorpusArtifact
from lmexp.stages.model_artifact import ModelArtifact
from lmexp.stages.perplexity import encoded, held_out
from lmexp.stages.tokenizer import TokenizerArtifact

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

MOST_COMPRESSED = 2**26
"""Most bytes of a text that compressors are given; xz takes a second for each two million."""


class SizeArtifact(Artifact):
    """Numbers alone, in the record."""


@stage(
    "size",
    version=1,
    produces=SizeArtifact,
    label=lambda config: config.split,
    check_machine=check_device("size"),
)
def size(
    run: StageRun,
    config: SizeConfig,
    *,
    model: ModelArtifact,
    tokenizer: TokenizerArtifact,
    corpus: CorpusArtifact,
) -> Metrics:
    """Count the bytes of `model` in each form, and the code lengths of the held-out and the training text.

    Metrics are `stored_bytes` (the files), ``coded_bytes/<form>``, and for the split and for `train`
    ``data_bits_per_byte/<form>``, those of `lmexp.evals.model_size.code_lengths`, and the compressors'.
    """
    from lmexp.evals.model_size import coded_bytes, forms_of, stored_bytes, write_as_told

    run.say("compresses the model")
    forms = forms_of(model.path)
    sizes = {form: coded_bytes(model.path, form) for form in forms}
    metrics: dict[str, float] = {"stored_bytes": stored_bytes(model.path)}
    metrics |= {f"coded_bytes/{form}": size for form, size in sizes.items()}
    encoder = tokenizer.load()
    data: dict[str, dict[str, float]] = {config.split: {}, "train": {}}
    for form in forms:
        with tempfile.TemporaryDirectory(dir=run.work) as folder:
            write_as_told(model.path, form, Path(folder))
            for split, bits in _scores(run, config, Path(folder), encoder, corpus).items():
                data[split][form] = bits
    for split, found in data.items():
        lengths = _code_lengths(corpus, split, sizes, found)
        lengths |= {"is_bound": 1} if model.load().is_bound else {}
        metrics |= {f"{split}/{name}": value for name, value in lengths.items()}
    return metrics


def _scores(
    run: StageRun, config: SizeConfig, model: Path, encoder: "Tokenizer", corpus: CorpusArtifact
) -> dict[str, float]:
    """Return bits per byte of each split under the model in directory `model`, and where they are bounds.

    A split is missing where they are no code length: they are infinite, the model is no distribution, or the
    tokenizer loses some of the text.
    """
    from lmexp.evals.perplexity import evaluate_perplexity
    from lmexp.models.folder import load_model
    from lmexp.scoring.scorer import scorer_of

    found = {}
    with computing(load_model(model), config, "size") as network:
        scorer = scorer_of(
            network,
            batch_size=config.batch_size,
            bos_token_id=encoder.bos_token_id,
            draws=config.draws,
            purpose="size",
        )
        for split in (config.split, "train") if network.is_normalized else ():
            run.say(f"scores {split}")
            documents = list(held_out(corpus, split, config.limit)())
            if not encoder.is_lossless and any(encoder.lost(document.text) for document in documents):
                continue
            length = scorer.context_length
            _, metrics = evaluate_perplexity(scorer, encoded(documents, encoder), context_length=length)
            if "bits_per_byte" in metrics:
                found[split] = float(metrics["bits_per_byte"])
    return found


def _code_lengths(
    corpus: CorpusArtifact, split: str, sizes: dict[str, int], bits: dict[str, float]
) -> dict[str, float]:
    """Return the code lengths of a split by the model and by compressors, in bits per byte."""
    from lmexp.evals.compressors import (
        compressor_bits_per_byte,
        dictionary_bits_per_byte,
        trained_dictionary,
    )
    from lmexp.evals.model_size import code_lengths

    num_bytes = corpus.num_bytes(split)
    found = {f"data_bits_per_byte/{form}": value for form, value in bits.items()}
    found |= {"bytes": num_bytes, **code_lengths(sizes, bits, num_bytes)}
    if num_bytes > MOST_COMPRESSED:
        return found
    found |= compressor_bits_per_byte((d.text for d in corpus.documents(split)), num_bytes)
    dictionary = trained_dictionary(d.text for d in corpus.documents("train"))
    if dictionary is not None:
        found |= dictionary_bits_per_byte(dictionary, (d.text for d in corpus.documents(split)), num_bytes)
    return found
