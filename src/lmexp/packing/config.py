"""How encoded documents are laid out on disk and cut into samples."""

from lmexp.core.config import Config, option
from lmexp.errors import ConfigError
from lmexp.tokenizer.config import ENCODERS

MODES = ("concatenate", "best_fit", "bos_aligned")


class PackingConfig(Config):
    """Token shards and samples."""

    mode: str = option("concatenate", choices=MODES, absent_means="concatenate")
    """`concatenate` cuts the stream of documents into equal samples; `best_fit` keeps each document in
    one row where it fits and pads rows; `bos_aligned` begins each row with a document and crops
    documents instead of padding."""

    context_length: int | None = option(None, ge=2, absent_means=None)
    """Tokens in a row, for the modes with rows; conf/packing/ sets it to the model's."""

    encoder: str = option("auto", choices=("auto", *ENCODERS), placement=True)
    """What encodes: the fastest that gives exactly the tokenizer's ids, or the one that is named."""

    shard_tokens: int = option(134_217_728, ge=1024, placement=True)
    """Most tokens in one shard file; the order of tokens does not depend on it."""

    def check(self) -> None:
        if self.mode == "concatenate" and self.context_length is not None:
            raise ConfigError(
                "context_length is read by the modes best_fit and bos_aligned alone, and mode is "
                "concatenate; set it to null."
            )
        if self.mode != "concatenate" and self.context_length is None:
            raise ConfigError(
                f"context_length is required where mode is {self.mode}; give packing={self.mode}, "
                f"which sets both."
            )
