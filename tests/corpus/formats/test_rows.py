"""Rows: every kind of row without text fails by its name, or is left out and counted by its reason."""

import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmexp.corpus.documents import TextUnits
from lmexp.corpus.formats.formats import read_texts
from lmexp.corpus.formats.rows import BadRows
from lmexp.errors import DataError

GOOD = ["first é", "last"]


def read(data, chosen, drop, column="text"):
    dropped = Counter()
    bad, units = BadRows(dropped, drop=drop), TextUnits()
    texts = list(read_texts(io.BytesIO(data), chosen, place="PLACE", column=column, units=units, bad=bad))
    return texts, dict(dropped)


def lines(*middle: bytes) -> bytes:
    first, last = (json.dumps({"text": text}).encode() for text in GOOD)
    return b"\n".join([first, *middle, last, b""])


def csv(*middle: bytes) -> bytes:
    return b"\n".join([b"n,text", f"1,{GOOD[0]}".encode(), *middle, f"3,{GOOD[1]}".encode(), b""])


def parquet(column, **types) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array(column, **types)}), file)
    return file.getvalue()


def not_utf8_parquet() -> bytes:
    values = [GOOD[0].encode(), b"\xff", GOOD[1].encode()]
    ends = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 8, 9, 13)))
    return parquet(pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"".join(values))]))


BAD = {
    "null in JSON": (
        lines(b'{"text": null}'),
        "jsonl",
        "null",
        "PLACE, line 2: 'text' must be text, was null",
    ),
    "a number": (
        lines(b'{"text": 3.5}'),
        "jsonl",
        "not text",
        "PLACE, line 2: 'text' must be text, was a num",
    ),
    "no key": (lines(b'{"txt": "a"}'), "jsonl", "no column", "PLACE, line 2 has no key 'text' (did you mean"),
    "an array": (lines(b'["a"]'), "jsonl", "not an object", "PLACE, line 2 must be a JSON object"),
    "half a line": (
        lines(b'{"text": "a'),
        "jsonl",
        "not JSON",
        "PLACE, line 2 is not JSON: Unterminated str",
    ),
    "too deep": (
        lines(b"[" * 200_000),
        "jsonl",
        "not JSON",
        "PLACE, line 2 is not JSON: it is nested too dee",
    ),
    "bytes": (
        lines(b'{"text": "\xe9"}'),
        "jsonl",
        "not UTF-8",
        "PLACE, line 2 is not UTF-8 at byte 35 of the",
    ),
    "surrogate": (
        lines(b'{"text": "\\ud83d"}'),
        "jsonl",
        "half a surrogate pair",
        "PLACE, line 2: 'text' holds half of a surrogate pair at character 0",
    ),
    "null in an array": (
        json.dumps([{"text": GOOD[0]}, {"text": None}, {"text": GOOD[1]}]).encode(),
        "json",
        "null",
        "PLACE, item 1: 'text' must be text, was null",
    ),
    "ragged": (csv(b"2,a,b"), "csv", "wrong number of fields", "PLACE, line 3 has 3 fields, but the header"),
    "short": (csv(b"2"), "csv", "wrong number of fields", "PLACE, line 3 has 1 fields, but the header"),
    "quote": (csv(b'2,"a"b'), "csv", "not CSV", "PLACE, line 3 is not CSV: ',' expected after '\"'"),
    "csv bytes": (csv(b"2,\xff"), "csv", "not UTF-8", "PLACE, line 3 is not UTF-8 at byte 20 of the file"),
    "null in Parquet": (
        parquet([GOOD[0], None, GOOD[1]]),
        "parquet",
        "null",
        "PLACE, row 1: 'text' must be text, was null",
    ),
    "Parquet bytes": (
        parquet([GOOD[0].encode(), b"ok\xff", GOOD[1].encode()]),
        "parquet",
        "not UTF-8",
        "PLACE, row 1 is not UTF-8 at its byte 2",
    ),
    "Parquet text": (not_utf8_parquet(), "parquet", "not UTF-8", "PLACE, row 1 is not UTF-8 at its byte 0"),
    "text file": (b"a\xffb", "txt", "not UTF-8", "PLACE is not UTF-8 at byte 1 of the file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_without_text_fails_by_its_place_or_is_left_out_and_counted(name):
    data, chosen, reason, sentence = BAD[name]
    with pytest.raises(DataError) as error:
        read(data, chosen, drop=False)
    assert str(error.value).startswith(sentence)
    assert str(error.value).endswith("; corpus.on_bad_row=drop leaves out what cannot be used and counts it.")
    assert "\n" not in str(error.value)
    texts, dropped = read(data, chosen, drop=True)
    assert [text for _, text in texts] == ([] if chosen == "txt" else GOOD)
    assert dropped == {reason: 1}


@pytest.mark.parametrize(
    ("data", "chosen", "column", "sentence"),
    [
        (b"n,text\n1,a\n", "csv", "txt", "PLACE has no column 'txt' (did you mean 'text'?)"),
        (b"n,t\xffxt\n1,a\n", "csv", "text", "PLACE, line 1 is not UTF-8"),
        (
            csv(b'2,"never closed'),
            "csv",
            "text",
            "PLACE, line 3 is not CSV: a quote that opens there is never",
        ),
        (parquet([1]), "parquet", "text", "PLACE: the column 'text' must be text, was int64"),
        (parquet([[1]]), "parquet", "text", "PLACE: the column 'text' must be text, was list<"),
        (b"PAR1", "parquet", "text", "PLACE is not a whole Parquet file"),
        (b'[{"text": "a"},', "json", "text", "PLACE is not an array of JSON: "),
        (b'[{"text": "\xff"}]', "json", "text", "PLACE is not UTF-8 at byte 11"),
    ],
)
def test_what_is_wrong_with_a_whole_file_is_never_dropped(data, chosen, column, sentence):
    for drop in (False, True):
        with pytest.raises(DataError) as error:
            read(data, chosen, drop=drop, column=column)
        assert str(error.value).startswith(sentence)


NESTED = [
    {"answers": {"text": ["one", "two"], "start": [0, 1]}},
    {"answers": {"text": []}},
    {"answers": {"text": ["three"]}},
]


def test_a_path_of_keys_leads_into_objects_and_each_element_of_a_list_is_a_text():
    expected = [("0:0", "one"), ("0:1", "two"), ("2:0", "three")]
    in_lines = b"\n".join(json.dumps(row).encode() for row in NESTED)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(NESTED), file)
    found = {
        "parquet": read(file.getvalue(), "parquet", False, "answers.text"),
        "json": read(json.dumps(NESTED).encode(), "json", False, "answers.text"),
        "jsonl": read(in_lines, "jsonl", False, "answers.text"),
    }
    for chosen, (texts, _) in found.items():
        first = 1 if chosen == "jsonl" else 0
        shifted = [(f":{int(name[0]) + first}{name[1:]}", text) for name, text in expected]
        assert texts == shifted
    turns = b'{"turns": [{"role": "u", "content": "hi"}, {"role": "a", "content": null}]}'
    assert read(turns, "jsonl", True, "turns.content") == ([(":1:0", "hi")], {"null": 1})


def test_a_key_that_is_spelt_with_dots_wins_over_a_path():
    row = b'{"a.b": "literal", "a": {"b": "nested"}}'
    assert read(row, "jsonl", False, "a.b") == ([(":1", "literal")], {})


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("answers.txt", "has no key 'txt' for 'answers.txt' (did you mean 'text'?); its keys are: 'text'"),
        ("answer.text", "(did you mean 'answers'?)"),
    ],
)
def test_a_path_that_leads_nowhere_is_answered_with_the_nearest_key(column, sentence):
    rows = [{"answers": {"text": "a"}}]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    for data, chosen in ((json.dumps(rows).encode(), "json"), (file.getvalue(), "parquet")):
        with pytest.raises(DataError) as error:
            read(data, chosen, False, column)
        assert sentence in str(error.value)


def test_a_column_that_a_table_has_twice_is_a_sentence():
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), file)
    with pytest.raises(DataError, match=r"^PLACE has several columns 'text'; give each a name of its own"):
        read(file.getvalue(), "parquet", drop=True)


def test_a_date_beside_a_text_that_python_cannot_hold_is_a_bad_row():
    microseconds = pa.timestamp("us")  # 10**18 of them end in the year 33658
    kind = pa.struct([("text", pa.string()), ("at", microseconds)])
    data = parquet([{"text": "a", "at": 0}, {"text": "b", "at": 10**18}, {"text": "c", "at": 0}], type=kind)
    with pytest.raises(DataError, match=r"^PLACE, row 1 holds what Python has no value for \(.*range\)"):
        read(data, "parquet", drop=False, column="text.text")
    texts, dropped = read(data, "parquet", drop=True, column="text.text")
    assert [text for _, text in texts] == ["a", "c"]
    assert dropped == {"no value of Python": 1}
