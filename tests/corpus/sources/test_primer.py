"""The primer as a source: documents by seed, taught by rule, and free of what is held out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.core.values.config import build
from lmexp.core.values.files import FileHasher
from lmexp.corpus.build import build_corpus
from lmexp.corpus.config import SPLITS, CorpusConfig, PrimerSource
from lmexp.corpus.shards import iter_documents
from lmexp.corpus.sources.primer import documents
from lmexp.corpus.sources.sources import content_hashes
from lmexp.errors import ConfigError
from lmexp.primer import words
from lmexp.primer.lessons import LESSONS
from tests.primer import oracle

HELD_OUT_WORDS = {word for part in ("test", "shots") for word in words.made_up_words(part)}
HELD_OUT_NUMBERS = {
    numbers for part in ("test", "shots") for size in (2, 3) for numbers in words.number_tuples(size, part)
}


def draw(**options):
    return list(documents(PrimerSource(**{"num_documents": 60, **options}), None))


@given(st.integers(0, 2**63 - 1))
@settings(max_examples=25, deadline=None)
def test_held_out_words_and_numbers_never_occur(seed):
    for document in draw(seed=seed):
        assert not {word.lower() for word in re.findall(r"\w+", document.text)} & HELD_OUT_WORDS
        if document.metadata["lesson"] in ("operator", "sort"):
            for line in document.text.splitlines():
                question = re.split(r" (?:=|->|=>|>>|\|) ", line)[0]
                assert tuple(map(int, re.findall(r"\d+", question))) not in HELD_OUT_NUMBERS


@given(st.integers(0, 2**63 - 1))
@settings(max_examples=10, deadline=None)
def test_every_line_of_a_lesson_follows_its_rule(seed):
    for document in draw(seed=seed, story=0.0):
        name, rule = document.metadata["lesson"], document.metadata["rule"]
        lines = document.text.splitlines()
        fewest, most = LESSONS[name].lengths
        assert fewest <= len(lines) <= most
        for line in lines:
            ends = [m.end() - 1 for m in re.finditer(r"(?:=|->|=>|>>|\||:|\?) ", line)]
            question = line[: ends[-1]] if name == "question" else line[: ends[0]]
            assert line[len(question) :] == " " + oracle.answer(name, rule, question)


def test_a_document_depends_on_the_seed_and_its_number_alone():
    ten, twenty = draw(seed=5, num_documents=10), draw(seed=5, num_documents=20)
    assert twenty[:10] == ten
    assert [document.id for document in twenty] == [str(i) for i in range(20)]
    assert not {d.text for d in draw(seed=6)} & {d.text for d in draw(seed=5)}


def test_shares_say_what_documents_are_about():
    shares = dict.fromkeys(("operator", "translation", "copy", "sort", "question"), 0.0)
    assert {d.metadata["lesson"] for d in draw(**shares)} == {"story"}
    shares |= {"copy": 3.0, "story": 1.0}
    found = [d.metadata["lesson"] for d in draw(num_documents=2000, **shares)]
    assert set(found) == {"copy", "story"}
    assert found.count("copy") / 2000 == pytest.approx(0.75, abs=0.04)


def test_a_primer_without_any_share_is_a_sentence():
    shares = dict.fromkeys(("operator", "translation", "copy", "sort", "question", "story"), 0)
    with pytest.raises(ConfigError, match=r"sources\.p\.at least one of operator, .* must be above 0"):
        build(CorpusConfig, {"sources": {"p": {"kind": "primer", **shares}}})


def test_the_primer_becomes_a_corpus(tmp_path):
    sources = {"primer": {"kind": "primer", "num_documents": 300}}
    config = build(CorpusConfig, {"sources": sources})
    assert content_hashes(config, FileHasher()) == {}
    metrics = build_corpus(config, tmp_path, cache=tmp_path, content={})
    texts = {d.text for split in SPLITS for d in iter_documents(tmp_path, split)}
    assert texts == {d.text for d in draw(num_documents=300)}
    assert metrics["documents"] == len(texts)
