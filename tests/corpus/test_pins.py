"""What a corpus is, pinned: texts of each generated kind, splits, a card, a shard, and every switch set once.

A change of any of these is a decision: the stage's version says so, and these values with it.
"""

import dataclasses
import hashlib
import itertools
import json

import pyarrow.parquet as pq
import pytest

from lmexp.core.values.config import build, identity
from lmexp.corpus.build import build_corpus, split_of
from lmexp.corpus.config import SPLITS, CorpusConfig, KnownSource, PrimerSource
from lmexp.corpus.filter_config import FilterConfig
from lmexp.corpus.shards import iter_documents
from lmexp.corpus.sources.primer import documents
from lmexp.known.build import build_process, draw_texts
from lmexp.known.process import entropy_bits_per_byte

KNOWN = {
    "markov": (["dcdcda\ndababb\n", "dabbbc\nbaabbc\n", "aaccda\nbaaddb\n"], 1.2312623950557418),
    "hidden_markov": (["dddcda\ndbbadb\n", "dbbbbc\ncbbbbc\n", "bacccb\nbbbcdb\n"], 1.504336063240826),
    "grammar": (["dddddbabaaaccbbb\na\n", "dcba\ndcba\n", "a\ndcba\n"], 1.3473171960679664),
}


@pytest.mark.parametrize("process", KNOWN)
def test_known_texts_are_these_and_none_is_drawn_by_what_drew_the_probabilities(process):
    config = build(KnownSource, {"process": process, "num_symbols": 4, "line_length": 6, "seed": 3})
    texts, entropy = KNOWN[process]
    assert list(itertools.islice(draw_texts(config, 2), 3)) == texts
    assert entropy_bits_per_byte(build_process(config)) == pytest.approx(entropy, rel=1e-12)


def test_primer_documents_are_these():
    first = list(itertools.islice(documents(PrimerSource(), None), 40))
    assert first[0].text.startswith("liku : likaku\npupi : pukapi\n")
    assert first[1].text.startswith("17 & 8 = 17\n4 & 12 = 12\n")
    assert first[1].metadata == {"source": "primer", "lesson": "operator", "rule": "larger &"}
    assert first[6].text == "13 8 16 | 16 13 8\n2 19 15 | 19 15 2\n7 8 19 | 19 8 7\n8 15 16 | 16 15 8\n"
    whole = hashlib.sha256("".join(document.text for document in first).encode()).hexdigest()
    assert whole == "9be01b8acd4e479a3b01a280803586c3c6031a8334da9b23108f5bb4fd48ab09"


def test_a_text_has_its_split_for_good():
    config = CorpusConfig(test_fraction=0.25, validation_fraction=0.05)  # b 0.243, é 0.291, a 0.791, x 0.985
    texts = {"b": "test", "é": "validation", "the end": "train", "a": "train", "xxxxxxxxxx": "train"}
    assert {text: split_of(hashlib.sha256(text.encode()).digest(), config) for text in texts} == texts


def test_a_split_begins_exactly_where_the_one_before_ends():
    config = CorpusConfig(test_fraction=0.25, validation_fraction=0.25)
    quarters = [bytes([0x40 * i]) + bytes(31) for i in range(4)]
    assert [split_of(digest, config) for digest in quarters] == ["test", "validation", "train", "train"]
    below = b"\x3f" + b"\xff" * 31
    assert split_of(below, config) == "validation"  # as a double, it is one quarter
    assert split_of(b"\x3f\xff\xff\xff\xff\xff" + bytes(26), config) == "test"


TEXTS = {
    "a": ["ASCII alone", "ÄÖÜ ß", "a", "日本語", "\U0001f600", "ASCII alone", " \n", "line one\nline two\n"],
    "b": ["b one", "naïve", "b two", "c" * 300, "ÄÖÜ ß", "b three", "b four"],
}


def small(tmp_path, **options):
    sources = {}
    for name, texts in TEXTS.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        sources[name] = {"kind": "local", "files": [str(path)], "licence": "CC0-1.0"}
    out = tmp_path / "out"
    out.mkdir()
    values = {"sources": sources, "validation_fraction": 0.3, "test_fraction": 0.3, **options}
    metrics = build_corpus(build(CorpusConfig, values), out, cache=out, content={"a/0:a.jsonl": "0" * 64})
    return metrics, json.loads((out / "card.json").read_text()), out


def test_the_card_of_a_small_corpus_is_this(tmp_path):
    metrics, card, _ = small(tmp_path)
    own = {"kind": "local", "licence": "CC0-1.0", "column": "text"}
    counted = ("documents", "bytes", "characters", "fraction")
    assert card == {
        "documents": 12,
        "bytes": 381,
        "characters": 367,
        "splits": {
            "train": dict(zip(counted, (6, 334, 330, 0.87664), strict=True)),
            "validation": dict(zip(counted, (5, 41, 31, 0.107612), strict=True)),
            "test": dict(zip(counted, (1, 6, 6, 0.015748), strict=True)),
        },
        "sources": {
            "a": own
            | dict(zip(counted, (6, 52, 39, 0.136483), strict=True))
            | {"content": {"0:a.jsonl": "0" * 64}, "dropped": {"duplicate": 1, "only whitespace": 1}},
            "b": own
            | dict(zip(counted, (6, 329, 328, 0.863517), strict=True))
            | {"content": {}, "dropped": {"duplicate": 1}},
        },
        "dropped": {"duplicate": 2, "only whitespace": 1},
        "unicode": "none",
        "filters": {},
        "max_document_bytes": 8192,
        "validation_fraction": 0.3,
        "test_fraction": 0.3,
    }
    counts = ("documents", "bytes", "characters")
    assert metrics == {
        **{what: card[what] for what in counts},
        **{f"{split}/{what}": card["splits"][split][what] for split in SPLITS for what in counts},
        "dropped/duplicate": 2,
        "dropped/only whitespace": 1,
    }


def test_the_documents_of_a_small_corpus_are_these_in_this_order(tmp_path):
    _, _, out = small(tmp_path)
    found = {split: [(d.id, d.text) for d in iter_documents(out, split)] for split in SPLITS}
    assert found == {
        "train": [
            ("a/a.jsonl:3", "a"),
            ("a/a.jsonl:5", "\U0001f600"),
            ("a/a.jsonl:8", "line one\nline two\n"),
            ("b/b.jsonl:2", "naïve"),
            ("b/b.jsonl:3", "b two"),
            ("b/b.jsonl:4", "c" * 300),
        ],
        "validation": [
            ("a/a.jsonl:1", "ASCII alone"),
            ("a/a.jsonl:2", "ÄÖÜ ß"),
            ("a/a.jsonl:4", "日本語"),
            ("b/b.jsonl:1", "b one"),
            ("b/b.jsonl:6", "b three"),
        ],
        "test": [("b/b.jsonl:7", "b four")],
    }
    for split in SPLITS:
        assert {d.id[:9]: d.metadata for d in iter_documents(out, split)}.items() <= {
            "a/a.jsonl": {"source": "a.jsonl"},
            "b/b.jsonl": {"source": "b.jsonl"},
        }.items()


def test_a_shard_is_plain_columns_of_text_compressed_in_one_row_group(tmp_path):
    _, _, out = small(tmp_path)
    with pq.ParquetFile(out / "train-00000.parquet") as shard:
        assert str(shard.schema_arrow.remove_metadata()) == (
            "id: string not null\ntext: string not null\nmetadata: string not null"
        )
        assert shard.num_row_groups == 1
        columns = [shard.metadata.row_group(0).column(i) for i in range(3)]
        rows = shard.read().to_pylist()
    assert {column.compression for column in columns} == {"ZSTD"}
    assert not any(column.is_stats_set for column in columns)
    digest = hashlib.sha256(json.dumps(rows, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    assert digest == "034e1bdd955029584f2f7e740dabea6354e5b9874d942d55ddd0bfb459e16236"


def test_sources_are_mixed_by_bytes_not_by_characters(tmp_path):
    texts = {
        "ascii": [f"{i:02}" + "a" * 22 for i in range(60)],
        "wide": [f"{i:02}" + "é" * 11 for i in range(60)],
    }
    sources = {}
    for name, rows in texts.items():  # 24 bytes each, but 24 and 13 characters; of equals, the first is next
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
        sources[name] = {"kind": "local", "files": [str(path)], "weight": {"ascii": 1.0, "wide": 3.0}[name]}
    values = {"sources": sources, "validation_fraction": 0.3, "test_fraction": 0.3}
    out = tmp_path / "out"
    out.mkdir()
    build_corpus(build(CorpusConfig, values), out, cache=out, content={})
    card = json.loads((out / "card.json").read_text())["sources"]
    assert {name: (card[name]["documents"], card[name]["bytes"]) for name in texts} == {
        "ascii": (21, 504),
        "wide": (60, 1440),
    }
    assert card["wide"]["characters"] == 780


SWITCHES = {
    "sources": {"known": {}},
    "files": ["a.txt"],
    "text_column": "body",
    "document": "line",
    "max_document_bytes": None,
    "on_bad_row": "drop",
    "deduplicate": False,
    "unicode": "NFKC",
    "strip": True,
    "filters": {"min_words": 3},
    "validation_fraction": 0.1,
    "test_fraction": 0.1,
    "shard_bytes": 1000,
}
NO_IDENTITY = {"files", "shard_bytes"}
"""What is hashed by content, or changes no document."""


def test_every_switch_of_a_corpus_is_part_of_its_identity_or_of_none():
    assert set(SWITCHES) == {field.name for field in dataclasses.fields(CorpusConfig)}
    plain = identity(CorpusConfig())
    for name, value in SWITCHES.items():
        changed = identity(build(CorpusConfig, {name: value}))
        assert (changed == plain) == (name in NO_IDENTITY), name


def test_every_filter_is_part_of_the_identity_when_it_is_set():
    for field in dataclasses.fields(FilterConfig):
        value = {"max_top_ngrams": (0.1, 0.1, 0.1), "max_repeated_ngrams": (0.1,) * 6}.get(field.name, 1)
        changed = identity(CorpusConfig(filters=FilterConfig(**{field.name: value})))
        assert changed["filters"][field.name] in (value, list(value) if isinstance(value, tuple) else value)
