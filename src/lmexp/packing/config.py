"""How encoded documents are laid out on disk."""

from lmexp.core.config import Config, option


class PackingConfig(Config):
    """Token shards."""

    shard_tokens: int = option(134_217_728, ge=1024, placement=True)
    """Most tokens in one shard file; the order of tokens does not depend on it."""
