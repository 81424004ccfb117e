"""What is said of local files before a corpus is built: rows without text, and lists read as running text."""

import gzip

import pytest

from lmexp.core.values.config import build
from lmexp.corpus.config import CorpusConfig
from lmexp.corpus.preview import check_rows, hints
from lmexp.errors import DataError


def config(*files, **options):
    return build(CorpusConfig, {"files": [str(file) for file in files], **options})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"txt": "a"}\n'),
        ("a.csv", b"n,txt\n1,a\n"),
        ("a.jsonl.gz", gzip.compress(b'{"txt": "a"}\n')),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 50)[:20]),
    ],
)
def test_a_column_that_is_not_there_and_damage_at_the_beginning_are_found(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r"has no (key|column) 'text' \(did you mean 'txt'|is damaged"):
        check_rows(config(tmp_path / name))
    (tmp_path / name).write_bytes(b"")


def test_only_the_beginning_of_a_file_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": null}\n')
    (tmp_path / "b.json").write_bytes(b"[nothing")
    check_rows(config(tmp_path / "*.json*"))
    (tmp_path / "a.jsonl").write_bytes(b'{"text": null}\n')
    check_rows(config(tmp_path / "*.json*", on_bad_row="drop"))
    with pytest.raises(DataError, match=r"a\.jsonl.*null"):
        check_rows(config(tmp_path / "*.json*"))


def test_a_list_of_names_read_as_running_text_is_pointed_out_with_the_key(tmp_path):
    names = b"Emma\nOlivia\nAva\nMia\nZoe\n"
    for name, data in (("n.txt", names), ("m.txt.gz", gzip.compress(names)), ("p.md", b"a\n\nb\n" * 9)):
        (tmp_path / name).write_bytes(data)
    (hint,) = hints(config(tmp_path / "n.txt"))
    assert hint == (
        "corpus.files: n.txt is short lines without blank ones and read as running text; where each line is "
        "a document of its own (a name, a sentence), say corpus.document=line."
    )
    assert "m.txt.gz and 1 others are short" in hints(config(tmp_path / "*"))[0]
    assert hints(config(tmp_path / "*", document="line")) == hints(config(tmp_path / "p.md")) == []
    sources = {"sources": {"mine": {"kind": "local", "files": [str(tmp_path / "n.txt")]}}}
    assert hints(build(CorpusConfig, sources))[0].startswith("corpus.sources.mine.files: n.txt is")
