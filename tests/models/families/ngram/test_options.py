"""The defaults and limits of the n-gram's options: to change one is a decision."""

from tests.options import table

OPTIONS = """\
NGramConfig.order = 3 >= 1 <= 16
NGramConfig.smoothing = 'kneser_ney' of kneser_ney, modified_kneser_ney, absolute_discounting,
    jelinek_mercer, add_k, maximum_likelihood, stupid_backoff
NGramConfig.discount = None > 0 <= 1 (absent: None)
NGramConfig.interpolation_weights = () >= 0 <= 1 (absent: ())
NGramConfig.k = None > 0 (absent: None)
NGramConfig.backoff = None > 0 <= 1 (absent: None)
NGramConfig.cache = () >= 0 < 1 (absent: ())
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table("lmexp.models.families.ngram.config") == OPTIONS
