"""Local files: which files a pattern names, what their documents are called, and bad patterns."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from lmexp.core.values.files import FileHasher, sha256_file
from lmexp.corpus.config import LocalSource
from lmexp.corpus.documents import SourceContext, TextUnits
from lmexp.corpus.formats.rows import BadRows
from lmexp.corpus.sources.local import check_names, content, documents, local_files
from lmexp.errors import DataError


def source(*patterns, **options):
    return LocalSource(files=tuple(map(str, patterns)), **options)


def read(*patterns, max_document_bytes=8192, **options):
    dropped = Counter()
    context = SourceContext(
        units=TextUnits("file", max_document_bytes),
        cache=Path("unused"),
        content={},
        dropped=dropped,
        bad=BadRows(dropped, drop=False),
        deduplicate=True,
    )
    return list(documents(source(*patterns, **options), context))


def test_files_are_sorted_and_unique_and_hashed_by_name_not_by_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "b.txt").write_text("b")
        (tmp_path / folder / "deep" / "a.txt").write_text("a")
    found = {}
    for folder in ("one", "two"):
        named = source(tmp_path / folder / "**" / "*.txt", tmp_path / folder / "b.txt")
        assert local_files(named) == [tmp_path / folder / "b.txt", tmp_path / folder / "deep" / "a.txt"]
        found[folder] = content(named, FileHasher())
    assert found["one"] == found["two"]
    assert found["one"] == {
        "0:b.txt": sha256_file(tmp_path / "one" / "b.txt"),
        "1:a.txt": sha256_file(tmp_path / "one" / "deep" / "a.txt"),
    }


def test_the_home_directory_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("a")
    assert local_files(source("~/*.txt")) == [tmp_path / "a.txt"]


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("notse.txt", "did you mean 'notes.txt'?"),
        ("nowhere/a.txt", "there is no directory"),
        ("table.xls", "ends in '.xls'; known are .txt, .md, .jsonl, .json, .csv, .parquet"),
        ("noname", "ends in 'no suffix'"),
        ("table.gz", "ends in 'no suffix'"),
        ("rows.parquet.gz", "Parquet compresses itself"),
        ("*.md", "no file matches"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named_with_a_remedy(tmp_path, pattern, sentence):
    for name in ("notes.txt", "table.xls", "noname", "table.gz", "rows.parquet.gz"):
        (tmp_path / name).write_text("a")
    with pytest.raises(DataError) as error:
        check_names(source(tmp_path / pattern), "corpus.files", drop=False)
    assert str(error.value).startswith("corpus.files")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "folder", ["plain", "data [v1]", "été", "a b=c, {d}", "it's $HOME", 'say "hi"', "a*b?"]
)
def test_a_folder_is_answered_with_an_override_that_works_where_it_is_pasted(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "one.txt").write_text("a")
    (tmp_path / folder / "two.txt").write_text("a")
    with pytest.raises(DataError) as error:
        local_files(source(tmp_path / folder), "corpus.files")
    pasted = str(error.value).partition("; give ")[2].removesuffix(" instead.")
    (word,) = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {pasted}"], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    read = OverridesParser.create().parse_override(word)
    assert read.key_or_group == "corpus.files"
    assert [path.name for path in local_files(source(*read.value()))] == ["one.txt", "two.txt"]


def test_a_file_that_may_not_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "a.txt").write_text("a")

    class Refused(FileHasher):
        def __call__(self, path):
            raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(DataError, match=r"a\.txt cannot be read \(Permission denied\)\.$"):
        content(source(tmp_path / "*.txt"), Refused())


def test_text_files_become_whole_or_cut_documents(tmp_path):
    (tmp_path / "long.txt").write_text(("x" * 99 + "\n") * 10)
    (tmp_path / "short.md").write_text("short")
    cut = read(tmp_path / "*.*", max_document_bytes=400)
    assert [d.id for d in cut] == ["long.txt:0", "long.txt:1", "long.txt:2", "short.md"]
    whole = read(tmp_path / "*.*", max_document_bytes=None)
    assert [d.id for d in whole] == ["long.txt", "short.md"]
    assert whole[0].text == "".join(d.text for d in cut[:3])
    assert whole[1].metadata == {"source": "short.md"}


def test_files_of_one_name_in_two_folders_have_different_ids(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    assert [(d.id, d.text) for d in read(tmp_path / "*" / "a.txt")] == [
        ("0:a.txt", "one"),
        ("1:a.txt", "two"),
    ]


def test_the_format_of_files_without_a_suffix_may_be_stated(tmp_path):
    (tmp_path / "wiki.train.tokens").write_text("some text")
    assert [d.text for d in read(tmp_path / "*.tokens", format="txt")] == ["some text"]
