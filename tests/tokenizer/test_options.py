"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.tokenizer.config",)
OPTIONS = """\
ByteBPEConfig.vocab_size = 4096 >= 257 <= 1000000
ByteBPEConfig.path = None
ByteBPEConfig.train_bytes = None >= 1 (absent: None)
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
