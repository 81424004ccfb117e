"""The defaults and limits of the n-gram's options: to change one is a decision."""

from tests.options import table

OPTIONS = """\
NGramConfig.order = 3 >= 1 <= 16
NGramConfig.smoothing = 'kneser_ney' of kneser_ney
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table("lmexp.models.families.ngram.config") == OPTIONS
