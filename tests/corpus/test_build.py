"""The corpus build: splits by hash, exact deduplication, identical bytes, sentences for empty splits."""

import hashlib
import json

import pytest

from lmexp.core.values.config import identity, replace
from lmexp.core.values.files import FileHasher
from lmexp.corpus.build import build_corpus
from lmexp.corpus.config import SPLITS, CorpusConfig, LocalSource
from lmexp.corpus.filter_config import FilterConfig
from lmexp.corpus.shards import iter_documents
from lmexp.corpus.sources.sources import content_hashes
from lmexp.errors import DataError


def write_rows(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return CorpusConfig(files=(str(path),), validation_fraction=0.2, test_fraction=0.1)


def make(config, out):
    out.mkdir()
    return build_corpus(config, out, cache=out, content={})


def test_splits_follow_the_hash_of_the_text_alone(tmp_path):
    texts = [f"document {i} é" for i in range(200)]
    config = write_rows(tmp_path / "rows.jsonl", texts + texts[:7] + [" "])
    metrics = make(config, tmp_path / "out")
    expected = {"train": [], "validation": [], "test": []}
    for i, text in enumerate(texts, 1):
        u = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
        split = "test" if u < 0.1 else "validation" if u < 0.1 + 0.2 else "train"
        expected[split].append((f"rows.jsonl:{i}", text))
    for split in SPLITS:
        assert [(d.id, d.text) for d in iter_documents(tmp_path / "out", split)] == expected[split]
        assert metrics[f"{split}/documents"] == len(expected[split])
        assert metrics[f"{split}/bytes"] == sum(len(text.encode()) for _, text in expected[split])
    assert metrics["documents"] == 200
    assert metrics["characters"] == sum(map(len, texts))
    assert metrics["dropped/duplicate"] == 7


def test_a_source_with_a_split_of_its_own_goes_there_whole_and_the_test_split_keeps_its_copies(tmp_path):
    texts = {"train": [f"text {i}" for i in range(60)], "test": ["text 7", "unseen"], "validation": ["other"]}
    sources = {}
    for split, own in texts.items():
        write_rows(tmp_path / f"{split}.jsonl", own)
        sources[split] = LocalSource(files=(str(tmp_path / f"{split}.jsonl"),), into=split)
    make(CorpusConfig(sources=sources), tmp_path / "out")
    found = {split: [d.text for d in iter_documents(tmp_path / "out", split)] for split in SPLITS}
    assert found == {**texts, "train": [text for text in texts["train"] if text != "text 7"]}


def test_a_held_out_text_is_kept_there_whatever_the_sources_are_called(tmp_path):
    sources = {}
    for name, split, own in (
        ("books", "train", ["shared", "other"]),
        ("official", "test", ["shared"]),
        ("zebra", "validation", ["third"]),
    ):
        write_rows(tmp_path / f"{name}.jsonl", own)
        sources[name] = LocalSource(files=(str(tmp_path / f"{name}.jsonl"),), into=split)
    make(CorpusConfig(sources=sources), tmp_path / "out")
    found = {split: [d.text for d in iter_documents(tmp_path / "out", split)] for split in SPLITS}
    assert found == {"train": ["other"], "test": ["shared"], "validation": ["third"]}


def test_the_same_input_gives_the_same_bytes(tmp_path):
    config = write_rows(tmp_path / "rows.jsonl", [f"text {i}" for i in range(100)])
    make(config, tmp_path / "one")
    make(config, tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["card.json", "test-00000.parquet", "train-00000.parquet", "validation-00000.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_empty_corpus_and_an_empty_split_say_what_to_do(tmp_path):
    config = write_rows(tmp_path / "none.jsonl", [" ", "\n"])
    with pytest.raises(DataError, match="The corpus is empty"):
        make(config, tmp_path / "a")
    config = write_rows(tmp_path / "one.jsonl", ["only one"])
    with pytest.raises(DataError) as error:
        make(config, tmp_path / "b")
    sentence = str(error.value)
    assert "has 1 document," in sentence
    assert "max_document_bytes" not in sentence  # rows are never cut
    assert "add documents" in sentence


def sources_of(tmp_path, texts, **options):
    """Two sources of JSON Lines, `a` and `b`, with the given texts and options by name."""
    sources = {}
    for name, lines in texts.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in lines))
        sources[name] = LocalSource(files=(str(path),), **options.pop(name, {}))
    return CorpusConfig(sources=sources, validation_fraction=0.3, test_fraction=0.3, **options)


def everything(out):
    return {d.id: d.text for split in SPLITS for d in iter_documents(out, split)}


def test_texts_are_normalised_before_they_are_filtered_and_compared(tmp_path):
    texts = ["e\u0301 \u00e9 same", "\u00e9 \u00e9 same", "\ufb01ne"] + [f"text {i}" for i in range(20)]
    for form, first, ligature, duplicates in (
        ("none", "e\u0301 \u00e9 same", "\ufb01ne", 0),
        ("NFC", "\u00e9 \u00e9 same", "\ufb01ne", 1),
        ("NFKC", "\u00e9 \u00e9 same", "fine", 1),
    ):
        out = tmp_path / form
        metrics = make(sources_of(tmp_path, {"a": texts}, unicode=form), out)
        found = everything(out)
        assert (found["a.jsonl:1"], found["a.jsonl:3"]) == (first, ligature)
        assert metrics.get("dropped/duplicate", 0) == duplicates


def test_white_space_at_both_ends_is_taken_off_before_texts_are_compared(tmp_path):
    texts = [f" text {i} \n" for i in range(20)] + ["text 3", "\t \n"]
    metrics = make(sources_of(tmp_path, {"a": texts}, strip=True), tmp_path / "out")
    assert sorted(everything(tmp_path / "out").values()) == sorted(f"text {i}" for i in range(20))
    assert (metrics["dropped/duplicate"], metrics["dropped/only whitespace"]) == (1, 1)


def test_every_document_is_kept_or_counted_under_the_first_reason_of_its_source(tmp_path):
    texts = [f"the text {i} is long enough" for i in range(40)]
    config = sources_of(
        tmp_path,
        {"a": [*texts, " ", "short", texts[0]], "b": [texts[1], "# # # # # #", "new text, also long enough"]},
        filters=FilterConfig(min_words=5, max_symbol_ratio=0.5),
        a={"licence": "CC0-1.0"},
    )
    metrics = make(config, tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["sources"]["a"]["dropped"] == {"duplicate": 1, "min_words": 1, "only whitespace": 1}
    assert card["sources"]["b"]["dropped"] == {"duplicate": 1, "max_symbol_ratio": 1}
    assert card["dropped"] == {"duplicate": 2, "max_symbol_ratio": 1, "min_words": 1, "only whitespace": 1}
    assert {k: v for k, v in metrics.items() if k.startswith("dropped/")} == {
        f"dropped/{reason}": count for reason, count in card["dropped"].items()
    }
    assert metrics["documents"] + sum(card["dropped"].values()) == 43 + 3
    assert card["filters"] == {"min_words": 5, "max_symbol_ratio": 0.5}


def test_the_card_counts_documents_bytes_and_characters_by_split_and_by_source(tmp_path):
    texts = {"a": [f"ä {i}" for i in range(30)], "b": [f"b {i}" for i in range(10)]}
    config = sources_of(tmp_path, texts, a={"licence": "CC0-1.0"})
    (tmp_path / "out").mkdir()
    content = {"a/0:a.jsonl": "1" * 64, "b/0:b.jsonl": "2" * 64}
    build_corpus(config, tmp_path / "out", cache=tmp_path, content=content)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    for name, lines in texts.items():
        source = card["sources"][name]
        assert (source["kind"], source["documents"]) == ("local", len(lines))
        assert source["bytes"] == sum(len(text.encode()) for text in lines)
        assert source["characters"] == sum(map(len, lines))
        assert source["fraction"] == pytest.approx(source["bytes"] / card["bytes"], abs=1e-6)
        assert source["content"] == {f"0:{name}.jsonl": content[f"{name}/0:{name}.jsonl"]}
    assert [card["sources"][name]["licence"] for name in ("a", "b")] == ["CC0-1.0", None]
    for split in SPLITS:
        documents = list(iter_documents(tmp_path / "out", split))
        assert card["splits"][split]["documents"] == len(documents)
        assert card["splits"][split]["bytes"] == sum(len(d.text.encode()) for d in documents)
    assert sum(split["documents"] for split in card["splits"].values()) == card["documents"] == 40


def test_weighted_sources_keep_their_shares_of_what_is_left_after_cleaning(tmp_path):
    texts = {"a": [f"{i:03} {'a' * 96}" for i in range(100)], "b": [f"{i:03} {'b' * 96}" for i in range(100)]}
    texts["b"] = [text for text in texts["b"] for _ in range(5)]  # four of five are duplicates
    config = sources_of(tmp_path, texts, a={"weight": 3.0}, b={"weight": 1.0})
    make(config, tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["sources"]["a"]["documents"] == 100
    assert card["sources"]["b"]["documents"] in (33, 34)


def test_copies_are_kept_in_one_split_where_deduplication_is_off(tmp_path):
    texts = [f"name {i} é" for i in range(60)]
    config = replace(write_rows(tmp_path / "rows.jsonl", texts + texts[:9]), deduplicate=False)
    metrics = make(config, tmp_path / "out")
    documents = [(split, d.text) for split in SPLITS for d in iter_documents(tmp_path / "out", split)]
    assert sorted(text for _, text in documents) == sorted(texts + texts[:9])
    assert len({text for _, text in documents}) == len(set(documents)) == 60
    assert metrics["documents"] == 69
    assert not any(key.startswith("dropped/") for key in metrics)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert (card["deduplicate"], card["dropped"]) == (False, {})


def test_copies_stay_across_the_splits_of_sources_where_deduplication_is_off(tmp_path):
    texts = {"test": ["a"], "train": ["a", "b"], "validation": ["b"]}
    into = {split: {"into": split} for split in texts}
    make(replace(sources_of(tmp_path, texts, **into), deduplicate=False), tmp_path / "out")
    found = {split: [d.text for d in iter_documents(tmp_path / "out", split)] for split in SPLITS}
    assert found == texts


def test_each_line_of_a_list_is_a_document_and_bad_rows_are_counted_beside_duplicates(tmp_path):
    names = [f"name{i}" for i in range(50)]
    (tmp_path / "names.txt").write_bytes("\r\n".join([*names, names[0], ""]).encode() + b"\xff\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    options = {"document": "line", "validation_fraction": 0.2, "test_fraction": 0.2}
    strict = CorpusConfig(files=(str(tmp_path / "*"),), **options)
    with pytest.raises(DataError, match=r"^corpus\.files: .*picture\.png ends in '\.png'.*on_bad_row=drop"):
        content_hashes(strict, FileHasher())
    lenient = replace(strict, on_bad_row="drop")
    assert list(content_hashes(lenient, FileHasher())) == ["0:names.txt", "1:picture.png"]
    metrics = make(lenient, tmp_path / "out")
    assert sorted(everything(tmp_path / "out").values()) == sorted(names)
    assert {key: value for key, value in metrics.items() if key.startswith("dropped/")} == {
        "dropped/duplicate": 1,
        "dropped/not UTF-8": 1,
        "dropped/unknown format": 1,
    }


def test_switches_that_are_off_leave_the_identity_as_it_was():
    plain = identity(CorpusConfig())
    assert not {"document", "deduplicate", "on_bad_row"} & set(plain)
    for change in ({"document": "line"}, {"deduplicate": False}, {"on_bad_row": "drop"}):
        assert identity(CorpusConfig(**change)) == {**plain, **change}


def test_filters_that_keep_nothing_are_named(tmp_path):
    config = sources_of(tmp_path, {"a": ["one", "two"]}, filters=FilterConfig(min_words=5))
    with pytest.raises(DataError, match="that its filters keep"):
        make(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("texts", "filters", "sentence"),
    [
        (
            {"test": ["a", "b"], "train": ["c"], "validation": ["a", "b"]},
            FilterConfig(),
            "The validation split is empty: all that was read from corpus.sources.validation was dropped "
            "(2 duplicate), where a duplicate equals a document of 'test'; give it other documents.",
        ),
        (
            {"test": ["a b"], "train": ["a b", "c d", " ", "e"], "validation": ["c d"]},
            FilterConfig(min_words=2),
            "The train split is empty: all that was read from corpus.sources.train was dropped "
            "(2 duplicate, 1 min_words, 1 only whitespace), where a duplicate equals a document of 'test' or "
            "'validation'; give it other documents, or loosen corpus.filters.",
        ),
        (
            {"test": [" "], "train": ["a"], "validation": ["b"]},
            FilterConfig(),
            "The test split is empty: all that was read from corpus.sources.test was dropped (1 only "
            "whitespace); give it other documents.",
        ),
        (
            {"test": ["a"], "train": ["b"]},
            FilterConfig(),
            "The validation split is empty: every source goes to another one; add a source with into: "
            "validation, or leave out the into of one, so that the hash of each of its texts decides.",
        ),
    ],
)
def test_an_empty_split_says_what_became_of_the_documents_of_its_sources(tmp_path, texts, filters, sentence):
    into = {split: {"into": split} for split in texts}
    with pytest.raises(DataError) as error:
        make(sources_of(tmp_path, texts, filters=filters, **into), tmp_path / "out")
    assert str(error.value) == sentence


def test_a_source_that_its_weight_leaves_unread_is_named(tmp_path):
    texts = {"test": ["x"], "train": ["a longer text"], "validation": ["y"]}
    shares = {"test": 1.0, "train": 1.0, "validation": 1e-9}  # the test source ends before it is its turn
    options = {name: {"into": name, "weight": weight} for name, weight in shares.items()}
    with pytest.raises(DataError, match=r"no document was read from corpus.sources.validation; .* weight"):
        make(sources_of(tmp_path, texts, **options), tmp_path / "out")
