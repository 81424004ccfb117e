"""The registry at work: order, names and limits of sources, and identities that import nothing heavy."""

import subprocess
import sys
from collections import Counter

import pytest

from lmexp.core.values.files import FileHasher
from lmexp.corpus.config import CorpusConfig, LocalSource
from lmexp.corpus.sources.sources import content_hashes, content_of, read_sources
from lmexp.errors import ConfigError, DataError


def read(config, cache):
    dropped = {name: Counter() for name in ("early", "files", *config.sources)}
    found = read_sources(config, cache=cache, content={}, dropped=dropped)
    return {name: [(d.id, d.text) for d in documents] for name, documents in found.items()}


def test_listing_and_hashing_import_nothing_heavy():
    code = (
        "import sys; from lmexp.corpus.sources import local, python_stdlib, sources;"
        "print([m for m in ('torch', 'pyarrow', 'numpy', 'tokenizers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_several_sources_stand_by_name_with_their_names_before_ids_and_content(tmp_path):
    (tmp_path / "b.txt").write_text("one")
    (tmp_path / "a.jsonl").write_text('{"body": "two"}\n')
    config = CorpusConfig(
        files=(str(tmp_path / "b.txt"),),
        sources={"early": LocalSource(files=(str(tmp_path / "a.jsonl"),), column="body")},
    )
    found = read(config, tmp_path)
    assert list(found) == ["early", "files"]
    assert found == {"early": [("early/a.jsonl:1", "two")], "files": [("files/b.txt", "one")]}
    content = content_hashes(config, FileHasher())
    assert list(content) == ["early/0:a.jsonl", "files/0:b.txt"]
    assert content_of("files", config, content) == {"0:b.txt": content["files/0:b.txt"]}


def test_a_single_source_needs_no_name_before_its_ids(tmp_path):
    (tmp_path / "b.txt").write_text("one")
    config = CorpusConfig(sources={"mine": LocalSource(files=(str(tmp_path / "b.txt"),))})
    assert read(config, tmp_path) == {"mine": [("b.txt", "one")]}
    assert list(content_hashes(config, FileHasher())) == ["0:b.txt"]


@pytest.mark.parametrize("pattern", ["*.txt", ".", "table.xls"])
def test_files_that_cannot_be_used_are_named_with_the_whole_key(tmp_path, pattern):
    (tmp_path / "table.xls").write_text("a")
    files = (str(tmp_path / pattern),)
    with pytest.raises(DataError, match=r"^corpus\.files[: ]"):
        content_hashes(CorpusConfig(files=files), FileHasher())
    with pytest.raises(DataError, match=r"^corpus\.sources\.mine\.files[: ]"):
        content_hashes(CorpusConfig(sources={"mine": LocalSource(files=files)}), FileHasher())


def test_a_limit_ends_the_reading_of_a_source(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\nnot read\n')
    config = CorpusConfig(sources={"mine": LocalSource(files=(str(path),), limit=2)})
    assert read(config, tmp_path)["mine"] == [("a.jsonl:1", "one"), ("a.jsonl:2", "two")]


def test_files_and_a_source_named_files_are_not_both_accepted():
    config = CorpusConfig(files=("a.txt",), sources={"files": LocalSource(files=("b.txt",))})
    with pytest.raises(ConfigError, match="short for"):
        content_hashes(config, FileHasher())


def test_weights_are_for_all_sources_or_for_none():
    with pytest.raises(ConfigError, match="a weight each, or none"):
        CorpusConfig(sources={"a": LocalSource(files=("a",), weight=1), "b": LocalSource(files=("b",))})
    with pytest.raises(ConfigError, match="files takes no weight"):
        CorpusConfig(files=("b.txt",), sources={"a": LocalSource(files=("a",), weight=1)})
