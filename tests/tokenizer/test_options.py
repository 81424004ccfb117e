"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.tokenizer.config",)
OPTIONS = """\
ByteBPEConfig.vocab_size = 4096 >= 257 <= 1000000
ByteBPEConfig.path = None
ByteBPEConfig.train_bytes = None >= 1 (absent: None)
ByteBPEConfig.digits = 'keep' of keep, split (absent: 'keep')
WordConfig.vocab_size = None >= 3 <= 10000000
WordConfig.min_count = None >= 1
CharacterConfig.vocab_size = None >= 3 <= 1114114
CharacterConfig.min_count = 1 >= 1
PiecesConfig.vocab_size = 4096 >= 3 <= 1000000
PiecesConfig.byte_fallback = True
PiecesConfig.digits = 'keep' of keep, split
WordPieceConfig.vocab_size = 4096 >= 3 <= 1000000
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
