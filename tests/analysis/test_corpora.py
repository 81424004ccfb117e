"""What a page says of corpora: documents by split, and what was dropped for which reason."""

import re

from lmexp.analysis.corpora import corpora, corpus_section

COUNTS = {
    "corpus/documents": 12,
    "corpus/train/documents": 9,
    "corpus/validation/documents": 2,
    "corpus/test/documents": 1,
    "corpus/dropped/null": 1,
    "corpus/dropped/duplicate": 4000,
    "packing/train/tokens": 7,
}


def cells(html: str) -> list[str]:
    return re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", html)


def test_a_table_counts_documents_by_split_and_the_dropped_by_reason():
    (corpus,) = corpora(COUNTS)
    assert (corpus.name, dict(corpus.documents)) == ("corpus", {"train": 9, "validation": 2, "test": 1})
    assert list(corpus.dropped.items()) == [("duplicate", 4000), ("null", 1)]
    assert corpus.words() == "4,000 duplicate, 1 null"
    found = cells(str(corpus_section(COUNTS)))
    assert found[:2] == ["corpus", "count"]
    assert found[2:8] == ["train documents", "9", "validation documents", "2", "test documents", "1"]
    assert found[8:] == ["dropped: duplicate", "4,000", "dropped: null", "1"]


def test_a_corpus_that_dropped_nothing_says_so_and_a_run_without_one_says_nothing():
    kept = {key: value for key, value in COUNTS.items() if "dropped" not in key}
    assert corpora(kept)[0].words() == "nothing"
    assert cells(str(corpus_section(kept)))[-2:] == ["dropped", "0"]
    assert str(corpus_section({"packing/train/tokens": 7})) == ""
