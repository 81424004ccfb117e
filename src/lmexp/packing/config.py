"""How encoded documents are laid out on disk and cut into samples."""

from collections.abc import Mapping

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError
from lmexp.tokenizer.config import ENCODERS

MODES = ("concatenate", "best_fit", "bos_aligned")


class PackingConfig(Config):
    """Token shards and samples."""

    mode: str = option(default="concatenate", choices=MODES, absent_means="concatenate")
    """`concatenate` cuts the stream of documents into equal samples; `best_fit` keeps each document in
    one row where it fits and pads rows; `bos_aligned` begins each row with a drawn document and crops
    documents instead of padding."""

    context_length: int | None = option(default=None, ge=2, absent_means=None)
    """Tokens in a row, for the modes with rows; conf/packing/ sets it to the model's."""

    seed: int = option(default=0, ge=0, le=2**63 - 1, absent_means=0)
    """Draws which documents begin the rows of `bos_aligned`, and the order in each row of `best_fit`; not
    the experiment's seed, so that runs of several seeds share their tokens."""

    encoder: str = option(default="auto", choices=("auto", *ENCODERS), placement=True)
    """What encodes: the fastest that gives exactly the tokenizer's ids, or the one that is named."""

    shard_tokens: int = option(default=134_217_728, ge=1024, placement=True)
    """Most tokens in one shard file; the order of tokens does not depend on it."""

    def check(self) -> None:
        if self.mode == "concatenate" and self.context_length is not None:
            raise ConfigError(
                "context_length is read by the modes best_fit and bos_aligned alone, and mode is "
                "concatenate; set it to null."
            )
        if self.mode == "concatenate" and self.seed:
            raise ConfigError(
                f"seed ({self.seed}) is read by the modes best_fit and bos_aligned alone, and mode is "
                f"concatenate; leave it out."
            )
        if self.mode != "concatenate" and self.context_length is None:
            raise ConfigError(
                f"context_length is required where mode is {self.mode}; give packing={self.mode}, "
                f"which sets both, and for a model without a context packing.context_length, the length of a "
                f"training sample."
            )

    def revised(self) -> Mapping[str, int]:
        # 2: which documents begin rows is drawn, and does not follow from their lengths
        return {} if self.mode == "concatenate" else {"rows": 2}


def no_sample(split: str, size: str, context_length: int, *, rows: bool = False) -> str:
    """Return the sentence about a split that is smaller than one sample, or row, with what may help."""
    more = {
        "train": "give more text, lower corpus.validation_fraction and corpus.test_fraction",
        "validation": "give more text, raise corpus.validation_fraction, set validation_every_steps=null",
        "test": "give more text, raise corpus.test_fraction",
    }.get(split, "give more text")
    needed = f"model.context_length ({context_length})" + ("" if rows else " + 1")
    one = "does not fill one row" if rows else "is too small for one sample"
    return (
        f"the {split or 'given'} split holds {size} and {one} of {needed} tokens; {more} or lower "
        f"model.context_length."
    )
