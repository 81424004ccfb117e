"""Sources: which files are listed, what becomes a document, and how bad input is reported."""

import hashlib
import json
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.core.files import FileHasher
from lmexp.corpus.config import CorpusConfig, LocalSource
from lmexp.corpus.local import local_files
from lmexp.corpus.python_stdlib import python_stdlib_files
from lmexp.corpus.sources import content_hashes, read_documents
from lmexp.errors import ConfigError, DataError


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(files: list[Path], dropped: Counter | None = None, **options):
    config = CorpusConfig(files=tuple(map(str, files)), **options)
    return list(read_documents(config, cache=Path("unused"), content={}, dropped=dropped))


def test_the_standard_library_is_its_own_source_without_tests_and_tables():
    files = python_stdlib_files()
    root = Path(sysconfig.get_path("stdlib"))
    names = [path.relative_to(root).as_posix() for path in files]
    assert {"json/decoder.py", "ast.py", "encodings/utf_8.py", "turtledemo/clock.py"} <= set(names)
    unwanted = {"encodings/cp1252.py", "test/support/__init__.py"}
    assert not unwanted & set(names)
    assert not any({"site-packages", "tests", "idle_test", "__pycache__"} & set(n.split("/")) for n in names)
    assert names == sorted(names, key=lambda name: name.split("/"))
    assert 8e6 < sum(path.stat().st_size for path in files) < 16e6


def test_the_standard_library_has_one_hash_that_follows_every_file():
    files = python_stdlib_files()
    root = Path(sysconfig.get_path("stdlib"))
    plain = content_hashes(CorpusConfig(), FileHasher())
    expected = hashlib.sha256()
    for path in files:
        expected.update(f"{path.relative_to(root).as_posix()}\0{sha256(path)}\n".encode())
    assert plain == {"python_stdlib": expected.hexdigest()}

    class Altered(FileHasher):
        def __call__(self, path):
            return super().__call__(path) + "x" * (path == files[-1])

    altered = content_hashes(CorpusConfig(), Altered())
    assert altered != plain


def test_listing_and_hashing_import_nothing_heavy():
    code = (
        "import sys, lmexp.corpus.sources;"
        "print([m for m in ('torch', 'pyarrow', 'numpy', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_local_files_are_sorted_and_unique_and_hashed_by_name_not_by_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "b.txt").write_text("b")
        (tmp_path / folder / "deep" / "a.txt").write_text("a")
    found = {}
    for folder in ("one", "two"):
        patterns = (str(tmp_path / folder / "**" / "*.txt"), str(tmp_path / folder / "b.txt"))
        assert local_files(patterns) == [tmp_path / folder / "b.txt", tmp_path / folder / "deep" / "a.txt"]
        found[folder] = content_hashes(CorpusConfig(files=patterns), FileHasher())
    assert found["one"] == found["two"]
    assert list(found["one"]) == ["0:b.txt", "1:a.txt"]


def test_the_home_directory_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("a")
    assert local_files(("~/*.txt",)) == [tmp_path / "a.txt"]


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("notse.txt", "did you mean 'notes.txt'?"),
        ("", "*.txt' instead"),
        ("nowhere/a.txt", "there is no directory"),
        ("table.csv", "ends in '.csv'; known are .txt and .jsonl"),
        ("*.md", "no file matches"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named_with_a_remedy(tmp_path, pattern, sentence):
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "table.csv").write_text("a")
    with pytest.raises(DataError) as error:
        local_files((str(tmp_path / pattern),))
    assert sentence in str(error.value)


def test_text_files_become_whole_or_cut_documents(tmp_path):
    (tmp_path / "long.txt").write_text(("x" * 99 + "\n") * 10)
    (tmp_path / "short.txt").write_text("short")
    (tmp_path / "blank.txt").write_text(" \n\n")
    dropped: Counter[str] = Counter()
    cut = read([tmp_path / "*.txt"], dropped, max_document_bytes=400)
    assert [d.id for d in cut] == ["long.txt:0", "long.txt:1", "long.txt:2", "short.txt"]
    assert dropped == {"only whitespace": 1}
    whole = read([tmp_path / "*.txt"], max_document_bytes=None)
    assert [d.id for d in whole] == ["long.txt", "short.txt"]
    assert whole[0].text == "".join(d.text for d in cut[:3])
    assert whole[1].metadata == {"source": "short.txt"}


def test_files_of_one_name_in_two_folders_have_different_ids(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    assert [(d.id, d.text) for d in read([tmp_path / "*" / "a.txt"])] == [
        ("0:a.txt", "one"),
        ("1:a.txt", "two"),
    ]


@given(texts=st.lists(st.text(), max_size=8))
def test_json_lines_give_the_texts_that_json_wrote(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps({"body": t}).encode() + b"\n" for t in texts))
    documents = read([path], text_column="body")
    expected = [(f"rows.jsonl:{i}", t) for i, t in enumerate(texts, 1) if t and not t.isspace()]
    assert [(d.id, d.text) for d in documents] == expected


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"txt": "a"}', "line 2 has no key 'text' (did you mean 'txt'?); its keys are: 'txt'"),
        ('{"text": 3}', "line 2: 'text' must be text, was a number"),
        ('{"text": null}', "line 2: 'text' must be text, was null"),
        ('["text"]', "line 2 must be a JSON object with the key 'text', was a list"),
        ('{"text": ', "line 2 is not JSON: Expecting value"),
        ('{"text": "\\ud800"}', "half of a surrogate pair at character 0"),
    ],
)
def test_a_bad_json_line_is_named_by_file_line_and_nearest_key(tmp_path, line, sentence):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DataError) as error:
        read([path])
    assert sentence in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_text_that_is_not_utf8_is_named_by_its_byte(tmp_path, name):
    (tmp_path / name).write_bytes(b'{"text": "ok"}\n{"text": "\xff"}\n')
    with pytest.raises(DataError, match=r"a\.(txt|jsonl) is not UTF-8 at byte 25"):
        read([tmp_path / name])


def test_several_sources_follow_each_other_by_name_with_their_names_before_ids_and_content(tmp_path):
    (tmp_path / "b.txt").write_text("one")
    (tmp_path / "a.jsonl").write_text('{"body": "two"}\n')
    config = CorpusConfig(
        files=(str(tmp_path / "b.txt"),),
        sources={"early": LocalSource(files=(str(tmp_path / "a.jsonl"),), column="body")},
    )
    documents = list(read_documents(config, cache=tmp_path, content={}))
    assert [(d.id, d.text) for d in documents] == [("early/a.jsonl:1", "two"), ("files/b.txt", "one")]
    assert list(content_hashes(config, FileHasher())) == ["early/0:a.jsonl", "files/0:b.txt"]


def test_files_and_a_source_named_files_are_not_both_accepted():
    config = CorpusConfig(files=("a.txt",), sources={"files": LocalSource(files=("b.txt",))})
    with pytest.raises(ConfigError, match="short for"):
        content_hashes(config, FileHasher())
