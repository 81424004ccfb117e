"""Why a corpus or a split is empty: with what would fill it."""

import json
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmexp.core.values.config import build
from lmexp.corpus.build import build_corpus
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.empty import fractions_that_fill, require_documents
from lmexp.errors import DataError


@example([0, 120, 130])  # 0.0001 + 0.00003 is more than 0.00013
@given(st.lists(st.integers(0, 10**6 - 1), unique=True, max_size=60))
def test_the_fractions_leave_no_split_empty_where_there_are_three_documents(positions):
    fractions = [position / 10**6 for position in positions]
    found = fractions_that_fill(fractions)
    assert (found is None) == (len(fractions) < 3)
    if found is not None:
        test, validation = found
        splits = Counter("t" if u < test else "v" if u < test + validation else "train" for u in fractions)
        assert set(splits) == {"t", "v", "train"}
        assert 0 < test < 1
        assert 0 < validation < 1 - test
        each = max(1, round(len(fractions) / 10))
        assert (splits["t"], splits["v"]) == (each, each)


def run(tmp_path, lines, **options):
    (tmp_path / "a.txt").write_text("\n".join(lines))
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    out.mkdir()
    config = build(CorpusConfig, {"files": [str(tmp_path / "a.txt")], **options})
    build_corpus(config, out, cache=out, content={})
    return json.loads((out / "card.json").read_text())["splits"]


def test_a_corpus_of_five_lines_says_at_each_step_what_to_do_next(tmp_path):
    lines = [f"A sentence of its own, number {i}." for i in range(5)]
    with pytest.raises(DataError) as error:
        run(tmp_path, lines)
    assert str(error.value) == (
        "The validation split is empty: the corpus has 1 document, split by the hash of their text "
        "(0.05 of them test, 0.05 validation); at least 3 are needed, make each line or paragraph of text "
        "files a document with corpus.document=line or paragraph, cut them smaller by "
        "corpus.max_document_bytes (now 8192), or add documents."
    )
    with pytest.raises(DataError) as error:
        run(tmp_path, lines, document="line")
    words = str(error.value).split("; ")[1].split(" leave none empty")[0].split()
    assert "5 documents" in str(error.value)
    fractions = {key.removeprefix("corpus."): float(value) for key, value in (w.split("=") for w in words)}
    assert set(fractions) == {"test_fraction", "validation_fraction"}
    splits = run(tmp_path, lines, document="line", **fractions)
    assert {split: counts["documents"] for split, counts in splits.items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }


def test_fractions_are_found_for_the_documents_whose_hash_decides(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(f"Line {i} of many for training." for i in range(200)))
    (tmp_path / "b.txt").write_text("\n".join(f"A sentence of its own, number {i}." for i in range(5)))
    sources = {
        "own": {"kind": "local", "files": [str(tmp_path / "a.txt")], "into": "train"},
        "some": {"kind": "local", "files": [str(tmp_path / "b.txt")]},
    }

    def built(name, **fractions):
        (tmp_path / name).mkdir()
        config = build(CorpusConfig, {"sources": sources, "document": "line", **fractions})
        return build_corpus(config, tmp_path / name, cache=tmp_path, content={})

    with pytest.raises(DataError, match="the sources without into have 5 documents, split by") as error:
        built("first")
    words = str(error.value).split("; ")[1].split(" leave none empty")[0].split()
    found = built(
        "second", **{key.removeprefix("corpus."): float(v) for key, v in (w.split("=") for w in words)}
    )
    assert [found[f"{split}/documents"] for split in ("train", "validation", "test")] == [203, 1, 1]


@pytest.mark.parametrize(
    ("lines", "remedy"), [(1, "at least 2 are needed"), (2, "raise corpus.validation_f")]
)
def test_a_split_that_a_source_fills_needs_no_document_by_hash(tmp_path, lines, remedy):
    (tmp_path / "a.txt").write_text("Text for training.")
    (tmp_path / "b.txt").write_text("\n".join(f"A sentence of its own, number {i}." for i in range(lines)))
    sources = {
        "own": {"kind": "local", "files": [str(tmp_path / "a.txt")], "into": "train"},
        "some": {"kind": "local", "files": [str(tmp_path / "b.txt")]},
    }
    config = build(CorpusConfig, {"sources": sources, "document": "line"})
    with pytest.raises(DataError, match=f"validation split is empty: .*; {remedy}"):
        build_corpus(config, tmp_path, cache=tmp_path, content={})


def test_fractions_between_two_close_documents_are_told_with_all_their_digits():
    positions = [0.12345671, 0.12345679, 0.6]
    config = build(CorpusConfig, {})
    documents = {"train": 3, "validation": 0, "test": 0}
    with pytest.raises(DataError) as error:
        require_documents(config, documents, 3, positions, {"python_stdlib": Counter()})
    test = float(str(error.value).split("corpus.test_fraction=")[1].split()[0])
    assert positions[0] < test <= positions[1]


@pytest.mark.parametrize(("name", "lines_help"), [("a.jsonl", False), ("a.csv.gz", False), ("a.txt", True)])
def test_lines_are_advised_only_where_files_may_be_text(name, lines_help):
    config = build(CorpusConfig, {"files": [name]})
    documents = {"train": 1, "validation": 0, "test": 0}
    with pytest.raises(DataError, match=r"at least 3 are needed, .*add documents") as error:
        require_documents(config, documents, 1, [0.5], {"files": Counter()})
    assert ("corpus.document=line" in str(error.value)) == lines_help
    pattern = build(CorpusConfig, {"files": ["some/*", name]})
    with pytest.raises(DataError, match=r"corpus.document=line or paragraph"):
        require_documents(pattern, documents, 1, [0.5], {"files": Counter()})
