"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = (
    "lmexp.corpus.config",
    "lmexp.corpus.filter_config",
)
OPTIONS = """\
SourceConfig.weight = None > 0 (absent: None)
SourceConfig.limit = None >= 1 (absent: None)
SourceConfig.into = None of train, validation, test (absent: None)
SourceConfig.licence = None (absent: None)
LocalSource.files
LocalSource.column = 'text'
LocalSource.format = None of txt, md, jsonl, json, csv, parquet (absent: None)
HttpSource.urls
HttpSource.sha256
HttpSource.members = () (absent: ())
HttpSource.column = 'text'
HttpSource.format = None of txt, md, jsonl, json, csv, parquet (absent: None)
HttpSource.max_bytes = 68719476736 >= 1
HttpSource.max_unpacked_bytes = 68719476736 >= 1
HttpSource.retries = 5 >= 0
HttpSource.timeout_s = 30.0 > 0
HubSource.name
HubSource.subset = None
HubSource.split = 'train'
HubSource.column = 'text'
HubSource.revision = 'main'
HubSource.streaming = False
HubSource.max_bytes = 68719476736 >= 1
HubSource.document_start = None (absent: None)
KnownSource.num_documents = 4000 >= 1 <= 100000000
KnownSource.num_lines = 16 >= 1 <= 100000
PrimerSource.seed = 0 >= 0 <= 9223372036854775807
PrimerSource.num_documents = 20000 >= 1 <= 100000000
PrimerSource.operator = 2.0 >= 0
PrimerSource.translation = 1.0 >= 0
PrimerSource.copy = 1.0 >= 0
PrimerSource.sort = 1.0 >= 0
PrimerSource.question = 1.0 >= 0
PrimerSource.story = 0.5 >= 0
CorpusConfig.sources (absent: {})
CorpusConfig.files = ()
CorpusConfig.text_column = 'text'
CorpusConfig.document = 'file' of file, line, paragraph (absent: 'file')
CorpusConfig.max_document_bytes = 8192 >= 256
CorpusConfig.on_bad_row = 'fail' of fail, drop (absent: 'fail')
CorpusConfig.deduplicate = True (absent: True)
CorpusConfig.unicode = 'none' of none, NFC, NFKC (absent: 'none')
CorpusConfig.strip = False (absent: False)
CorpusConfig.filters = FilterConfig (absent: FilterConfig)
CorpusConfig.validation_fraction = 0.05 > 0 < 1
CorpusConfig.test_fraction = 0.05 > 0 < 1
CorpusConfig.shard_bytes = 268435456 >= 1
FilterConfig.min_bytes = None >= 1
FilterConfig.max_bytes = None >= 1
FilterConfig.min_words = None >= 1
FilterConfig.max_words = None >= 1
FilterConfig.min_mean_word_length = None >= 0
FilterConfig.max_mean_word_length = None >= 0
FilterConfig.max_symbol_ratio = None >= 0
FilterConfig.max_bullet_lines = None >= 0 <= 1
FilterConfig.max_ellipsis_lines = None >= 0 <= 1
FilterConfig.min_alphabetic_words = None >= 0 <= 1
FilterConfig.min_stop_words = None >= 1 <= 8
FilterConfig.max_duplicate_lines = None >= 0 <= 1
FilterConfig.max_duplicate_line_characters = None >= 0 <= 1
FilterConfig.max_duplicate_paragraphs = None >= 0 <= 1
FilterConfig.max_duplicate_paragraph_characters = None >= 0 <= 1
FilterConfig.max_top_ngrams = () >= 0 <= 1
FilterConfig.max_repeated_ngrams = () >= 0 <= 1
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
