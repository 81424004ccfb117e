"""Every field of every kind of source and of the filters refuses what it cannot be, by its full key."""

import dataclasses
import typing

import pytest

from lmexp.core.values.config import build
from lmexp.corpus.config import SOURCES, CorpusConfig
from lmexp.corpus.filter_config import FilterConfig
from lmexp.errors import ConfigError

REQUIRED = {
    "local": {"files": ["a.txt"]},
    "hub": {"name": "owner/name"},
    "http": {"urls": ["https://host/a.txt"], "sha256": ["0" * 64]},
}
"""What a source of each kind cannot do without."""


def element(hint):
    candidates = [a for a in typing.get_args(hint) if a not in (type(None), ...)] or [hint]
    return candidates[0]


def cases():
    for kind, cls in SOURCES.kinds.items():
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            yield kind, field, hints[field.name]


def refusal(kind, key, value) -> str:
    with pytest.raises(ConfigError) as error:
        build(
            CorpusConfig,
            {"sources": {"mine": {"kind": kind, **REQUIRED.get(kind, {}), key: value}}},
            "corpus",
        )
    return str(error.value)


CASES = [pytest.param(*case, id=f"{case[0]}-{case[1].name}") for case in cases()]


@pytest.mark.parametrize(("kind", "field", "hint"), CASES)
def test_every_field_of_a_source_misspelt_of_a_wrong_type_or_out_of_range_is_refused(kind, field, hint):
    misspelt = refusal(kind, f"{field.name}q", 1)
    assert f"corpus.sources.mine.{field.name}q is not a known key (did you mean {field.name!r}?)" in misspelt
    wrong = {"a": 1} if element(hint) is not str else [1, 2]
    assert field.name in refusal(kind, field.name, [wrong] if typing.get_origin(hint) is tuple else wrong)
    bounds = field.metadata["bounds"]
    beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}
    if bounds:
        bound, limit = next(iter(bounds.items()))
        assert f"{field.name} must be" in refusal(kind, field.name, element(hint)(limit + beyond[bound]))
    if field.metadata["choices"]:
        assert f"{field.name} must be one of" in refusal(kind, field.name, "nonsense")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"path": "a.txt"}, "corpus.path is not accepted: name files with corpus.files"),
        ({"dataset": "owner/name"}, "corpus.dataset is not accepted: a dataset of the hub is a source"),
        (
            {"column": "body"},
            "corpus.column is not accepted: the key or column that holds the text is corpus.text",
        ),
        ({"split": "train"}, "corpus.split is not accepted: splits are corpus.validation_fraction and"),
        (
            {"dedup": False},
            "corpus.dedup is not accepted: equal texts are kept or dropped by corpus.deduplicate",
        ),
        (
            {"sources": {"local": {"files": ["a.txt"], "text_column": "body"}}},
            "corpus.sources.local.text_column is not accepted: the key or column that holds the text is `col",
        ),
        (
            {"sources": {"local": {"path": "a.txt"}}},
            "corpus.sources.local.path is not accepted: name the files",
        ),
        (
            {"sources": {"hub": {"path": "owner/name"}}},
            "corpus.sources.hub.path is not accepted: the dataset is `name`, like owner/name",
        ),
        (
            {"sources": {"hub": {"name": "owner/name", "config": "c"}}},
            "corpus.sources.hub.config is not accepted: the configuration is `subset`",
        ),
        (
            {"sources": {"http": {"url": "https://host/a.txt"}}},
            "corpus.sources.http.url is not accepted: give `urls`",
        ),
        ({"files": [""]}, "corpus.files holds an empty name"),
        (
            {"files": ["caf\udce9.txt"]},
            "corpus.files holds a name that is not UTF-8 (caf\\xe9.txt); name it by",
        ),
    ],
)
def test_other_tools_words_are_answered_with_ours(values, sentence):
    with pytest.raises(ConfigError) as error:
        build(CorpusConfig, values, "corpus")
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.9, 0.2), (0.2, 0.9)])
def test_fractions_that_leave_nothing_for_training_are_refused(validation, test):
    with pytest.raises(ConfigError) as error:
        CorpusConfig(validation_fraction=validation, test_fraction=test)
    assert str(error.value) == (
        f"validation_fraction + test_fraction must be less than 1 to leave documents for training, was "
        f"{validation + test:g}."
    )
    assert CorpusConfig(validation_fraction=0.5, test_fraction=0.49)


BOUNDS = {
    "known": {
        "num_symbols": (2, 26),
        "order": (0, 3),
        "num_states": (1, 64),
        "line_length": (1, 256),
        "sharpness": (0, 10),
        "seed": (0, 2**63 - 1),
        "num_documents": (1, 100_000_000),
        "num_lines": (1, 100_000),
    },
    "primer": {
        "seed": (0, 2**63 - 1),
        "num_documents": (1, 100_000_000),
        **dict.fromkeys(("operator", "translation", "copy", "sort", "question", "story"), (0, None)),
    },
    "http": {"retries": (0, None), "max_bytes": (1, None), "max_unpacked_bytes": (1, None)},
    "hub": {"limit": (1, None), "max_bytes": (1, None)},
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in BOUNDS for name in BOUNDS[kind]])
def test_a_field_takes_its_limits_and_nothing_beyond_them(kind, name):
    for limit, step in zip(BOUNDS[kind][name], (-1, 1), strict=True):
        if limit is not None:
            values = {"kind": kind, **REQUIRED.get(kind, {}), name: limit}
            source = build(CorpusConfig, {"sources": {"mine": values}}).sources["mine"]
            assert getattr(source, name) == limit
            assert f"{name} must be" in refusal(kind, name, limit + step)


FILTER_BOUNDS = {
    "min_stop_words": (1, 8),
    **dict.fromkeys(("min_bytes", "max_bytes", "min_words", "max_words"), (1, None)),
    **dict.fromkeys(("min_mean_word_length", "max_mean_word_length", "max_symbol_ratio"), (0, None)),
    **dict.fromkeys(("max_bullet_lines", "max_ellipsis_lines", "min_alphabetic_words"), (0, 1)),
    **dict.fromkeys(("max_duplicate_lines", "max_duplicate_line_characters"), (0, 1)),
    **dict.fromkeys(("max_duplicate_paragraphs", "max_duplicate_paragraph_characters"), (0, 1)),
}


@pytest.mark.parametrize("name", FILTER_BOUNDS)
def test_a_filter_takes_its_limits_and_nothing_beyond_them(name):
    for limit, step in zip(FILTER_BOUNDS[name], (-1, 1), strict=True):
        if limit is not None:
            assert getattr(FilterConfig(**{name: limit}), name) == limit
            with pytest.raises(ConfigError, match=f"{name} must be"):
                FilterConfig(**{name: limit + step})


def test_numbers_that_nobody_gave_are_these():
    corpus = CorpusConfig()
    assert (corpus.max_document_bytes, corpus.shard_bytes) == (8192, 2**28)
    assert (corpus.validation_fraction, corpus.test_fraction) == (0.05, 0.05)
    http = build(CorpusConfig, {"sources": {"http": REQUIRED["http"]}}).sources["http"]
    assert (http.max_bytes, http.max_unpacked_bytes) == (2**36, 2**36)
    assert (http.retries, http.timeout_s) == (5, 30.0)
    assert CorpusConfig(max_document_bytes=256)
    with pytest.raises(ConfigError, match="max_document_bytes must be at least 256"):
        CorpusConfig(max_document_bytes=255)
