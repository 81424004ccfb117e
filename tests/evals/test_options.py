"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.evals.config", "lmexp.evals.audit.config")
OPTIONS = """\
PerplexityConfig.splits = ('test',) of validation, test
PerplexityConfig.context_length = None >= 1 (absent: None)
PerplexityConfig.stride = None >= 1
PerplexityConfig.score_ends = False (absent: False)
PerplexityConfig.as_one_text = False (absent: False)
PerplexityConfig.limit = None >= 1
PerplexityConfig.continuous_cache = ContinuousCacheConfig (absent: ContinuousCacheConfig)
PerplexityConfig.draws = 32 >= 2 <= 1000000 (absent: 32)
PerplexityConfig.batch_size = None >= 1
SizeConfig.split = 'test' of validation, test
SizeConfig.limit = 16 >= 1
SizeConfig.draws = 32 >= 2 <= 1000000
SizeConfig.batch_size = None >= 1
PromptsConfig.tasks = ('python_identifier', 'python_operator', 'python_bracket', 'python_argument')
    of python_identifier, python_operator, python_bracket, python_argument, primer_operator,
    primer_translation, primer_copy, primer_sort, primer_question, sentence_choice
PromptsConfig.task_files = ()
PromptsConfig.num_fewshot = (0,) >= 0 <= 64
PromptsConfig.limit = 500 >= 1
PromptsConfig.permute_labels = False (absent: False)
PromptsConfig.seed = 1234 >= 0 <= 9223372036854775807
PromptsConfig.batch_size = None >= 1
AuditConfig.split = 'test' of validation, test
AuditConfig.documents = 16 >= 2 <= 10000
AuditConfig.contexts = 6 >= 1 <= 10000
AuditConfig.tokens = 48 >= 4 <= 4096
AuditConfig.seed = 1234 >= 0 <= 9223372036854775807
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
