"""From a configuration to its objective."""

from lmexp.training.config import PretrainConfig
from lmexp.training.objectives.config import MaskedTokenConfig
from lmexp.training.objectives.masked_token import MaskedToken
from lmexp.training.objectives.next_token import NextToken
from lmexp.training.objectives.objective import Objective


def build_objective(config: PretrainConfig, *, vocab_size: int, eos_token_id: int) -> Objective:
    """Return the objective; `vocab_size` counts the tokenizer's ids, of which `eos_token_id` ends a text."""
    if isinstance(config.objective, MaskedTokenConfig):
        return MaskedToken(
            config.objective,
            mask_token_id=vocab_size,
            eos_token_id=eos_token_id,
            documents=config.document_masking,
        )
    return NextToken(eos_token_id if config.document_masking else None)
