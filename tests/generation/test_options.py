"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.generation.config",)
OPTIONS = """\
SamplingConfig.max_new_tokens = 200 >= 1
SamplingConfig.temperature = 1.0 >= 0
SamplingConfig.top_k = None >= 1
SamplingConfig.top_p = None > 0 <= 1
SamplingConfig.stop = () (absent: ())
SamplingConfig.suffix = '' (absent: '')
SamplingConfig.steps = None >= 1 (absent: None)
SamplingConfig.order = 'confidence' of confidence, random (absent: 'confidence')
SamplingConfig.seed = 0 >= 0 <= 9223372036854775807
SamplesConfig.prompts = ('',)
SamplesConfig.num_samples = 3 >= 1 <= 1000
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
