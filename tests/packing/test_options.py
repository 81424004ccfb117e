"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.packing.config",)
OPTIONS = """\
PackingConfig.mode = 'concatenate' of concatenate, best_fit, bos_aligned (absent: 'concatenate')
PackingConfig.context_length = None >= 2 (absent: None)
PackingConfig.seed = 0 >= 0 <= 9223372036854775807 (absent: 0)
PackingConfig.encoder = 'auto' of auto, gigatoken, tiktoken, tokenizers
PackingConfig.shard_tokens = 134217728 >= 1024
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
