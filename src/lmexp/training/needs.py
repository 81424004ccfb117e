"""What a training needs of the splits, checked against what earlier stages counted, without torch."""

from collections.abc import Mapping

from lmexp.core.graph.stage import Upstream
from lmexp.errors import DataError
from lmexp.packing.config import no_sample
from lmexp.training.config import PretrainConfig


def check_inputs(config: PretrainConfig, upstream: Mapping[str, Upstream]) -> None:
    """Raise `DataError` where a split that is read has no sample, or fewer than `train_samples`.

    Once packed, a split's samples are known. Before that, its text bounds them: a token has a byte at least.
    """
    length = config.resolved_sample_length
    for split in ("train", *(("validation",) if config.validation_every_steps is not None else ())):
        found = _samples(split, length, upstream)
        if found is None:
            continue
        num_samples, size, rows = found
        if num_samples < 1:
            raise DataError(no_sample(split, size, length, rows=rows))
        if split == "train" and config.carry_state:
            check_lanes(config, config.train_samples or num_samples, in_rows=rows)
        if split == "train" and (config.train_samples or 0) > num_samples:
            raise DataError(too_few_samples(config.train_samples or 0, num_samples))


def check_lanes(config: PretrainConfig, num_samples: int, *, in_rows: bool) -> None:
    """Raise `DataError` where rows cannot read on from sample to sample: each needs one, out of a stream."""
    if in_rows:
        raise DataError(
            "carry_state reads on from one sample to the next, and samples that were packed into rows do not "
            "follow each other; set packing=concatenate."
        )
    if num_samples < config.global_batch_size:
        raise DataError(
            f"carry_state needs a sample of the train split for each row of a batch, and there are "
            f"{num_samples:,} for global_batch_size {config.global_batch_size:,}; lower global_batch_size or "
            f"sample_length, or give more text."
        )


def too_few_samples(train_samples: int, num_samples: int) -> str:
    """Return the sentence about more `train_samples` than the train split can have."""
    return (
        f"train_samples ({train_samples:,}) must be at most the {num_samples:,} samples of the train split; "
        f"lower it, or set it to null to train on all of them."
    )


def _samples(split: str, length: int, upstream: Mapping[str, Upstream]) -> tuple[int, str, bool] | None:
    """Return the most samples that a split may have, its size in words and whether samples are rows.

    None where nothing is known.
    """
    packing, corpus = upstream.get("packing"), upstream.get("corpus")
    if packing is not None and packing.metrics is not None:
        tokens = int(packing.metrics[f"{split}/tokens"])
        rows = packing.metrics.get(f"{split}/rows")
        num_samples = (tokens - 1) // length if rows is None else int(rows)
        return num_samples, f"{tokens:,} tokens", rows is not None
    if packing is None or corpus is None or corpus.metrics is None or packing.config.mode == "best_fit":
        return None
    size, documents = int(corpus.metrics[f"{split}/bytes"]), int(corpus.metrics[f"{split}/documents"])
    most = size + documents  # each document is followed by the end of text
    plural = "" if documents == 1 else "s"
    words = f"{size:,} bytes in {documents:,} document{plural}, so at most {most:,} tokens"
    in_rows = packing.config.mode != "concatenate"
    return (most - (not in_rows)) // length, words, in_rows
