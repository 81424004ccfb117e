"""Data files of every format give the same rows, and damage is a sentence."""

import bz2
import gzip
import json
import lzma

import pytest

from lmexp.errors import DataError
from lmexp.evals.tasks.task_rows import read_lines_of, read_rows

ROWS = [{"q": 'naïve, "x"', "a": "0"}, {"q": "two words", "a": "1"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def rows_of(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [row for _, _, row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", "\ufeff" + LINES.replace("\n", "\n\n")),
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps({"version": 1, "data": ROWS})),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("a.JSONL.bz2", bz2.compress(LINES.encode())),
        ("a.jsonl.xz", lzma.compress(LINES.encode())),
        ("a.csv", 'q,a\n"naïve, ""x""",0\ntwo words,1\n'),
        ("a.csv", '\ufeff"q","a"\r\n"naïve, ""x""",0\r\n\r\ntwo words,1\r\n'),
        ("a.tsv", 'q\ta\nnaïve, "x"\t0\ntwo words\t1\n'),
        ("a.tsv", '"q"\t"a"\n"naïve, ""x"""\t"0"\n"two words"\t"1"\n'),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, name, data):
    assert rows_of(tmp_path / name, data) == ROWS


def test_parquet_gives_the_same_rows_nested_ones_too(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    nested = [{**row, "c": {"text": ["x", "y"]}} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(nested), tmp_path / "a.parquet")
    assert [(place[-5:], number, row) for place, number, row in read_rows(tmp_path / "a.parquet")] == [
        ("row 1", 1, nested[0]),
        ("row 2", 2, nested[1]),
    ]
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        rows_of(tmp_path / "b.parquet", b"PAR1 half")


def test_parquet_that_is_no_rows_of_python_is_a_sentence(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    late = pa.table({"q": ["a"], "at": pa.array([10**18], pa.timestamp("us"))})  # in the year 33658
    pq.write_table(late, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a.parquet cannot be read as Parquet: date value out of range\.$"):
        list(read_rows(tmp_path / "a.parquet"))
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["q", "q"]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet cannot be read as Parquet: Multiple matches .*q"):
        list(read_rows(tmp_path / "b.parquet"))


def test_lines_are_numbered_as_an_editor_does(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(f"\n{LINES}")
    assert [(place, number) for place, number, _ in read_rows(path)] == [
        (f"{path}, line 2", 2),
        (f"{path}, line 3", 3),
    ]
    table = tmp_path / "a.csv"
    table.write_text('q,a\n"two\nlines",0\nx,1\n')
    assert [number for _, number, _ in read_rows(table)] == [2, 4]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", b'{"q": 1}\n{half\n', "line 2 is not JSON"),
        ("a.jsonl", b'{"q": 1}\n[1]\n', r"line 2 must be a JSON object, was '\[1\]'"),
        ("a.jsonl", b'{"q": 1}\n\xff\n', "line 2 is not UTF-8 at byte 0"),
        ("a.jsonl", b'{"q": 1}\n' + b"[" * 200_000 + b"\n", "line 2 is not JSON: .*nested too deeply"),
        ("a.json", b'[{"q": 1}, 2]', "row 2 must be a JSON object, was '2'"),
        ("a.csv", b"q\n1\n1,2\n", "line 3 has 2 fields, but the header names 1"),
    ],
)
def test_a_line_that_is_no_row_is_given_as_its_error(tmp_path, name, data, sentence):
    first, second = rows_of(tmp_path / name, data)
    assert str(first["q"]) == "1"
    assert isinstance(second, DataError)
    with pytest.raises(DataError, match=sentence):
        raise second


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "a.txt",
            b"",
            "ends in '.txt'; data end in .jsonl, .ndjson, .json, .csv, .tsv, .parquet, and all but",
        ),
        ("a", b"", "ends in 'no suffix'"),
        ("a.parquet.gz", b"", "ends in '.gz'"),
        ("a.json", b"{", "a.json is not JSON"),
        ("a.json", b'{"q": "x"}', "must be a list of objects, alone or as the only list"),
        ("a.json", b'{"train": [{}], "test": [{}]}', "must be a list of objects, alone or as the only list"),
        ("a.csv", b'q\n"x\n', "line 2 is not a table"),
        ("a.csv", b"\xff", "is not UTF-8"),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz is damaged: "),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:-9], "a.jsonl.gz is damaged: "),
        ("a.jsonl.xz", b"no xz", "a.jsonl.xz is damaged: "),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, name, data, sentence):
    with pytest.raises(DataError, match=sentence):
        rows_of(tmp_path / name, data)


def test_a_long_field_is_read(tmp_path):
    assert rows_of(tmp_path / "a.csv", f"q\n{'x' * 200_000}\n") == [{"q": "x" * 200_000}]


def test_a_quotation_mark_of_a_tsv_file_without_quoted_header_is_a_character(tmp_path):
    rows = rows_of(tmp_path / "a.tsv", 'q\ta\n"Who?" he said\t0\n"Not closed\t1\n')
    assert rows == [{"q": '"Who?" he said', "a": "0"}, {"q": '"Not closed', "a": "1"}]


def test_lines_of_labels_are_stripped_and_empty_ones_left_out(tmp_path):
    path = tmp_path / "labels.lst"
    path.write_bytes(b"0\r\n\r\n 1 \r\n")
    assert read_lines_of(path) == ["0", "1"]
