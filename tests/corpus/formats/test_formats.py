"""Formats: the texts that other writers wrote come back, and what is wrong is named by its place."""

import csv
import io
import itertools
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.documents import TextUnits
from lmexp.corpus.formats.formats import read_texts, split_name
from lmexp.corpus.formats.rows import BadRows
from lmexp.errors import DataError

TEXTS = st.lists(st.text(), max_size=8)
CSV_TEXTS = st.lists(st.text(st.characters(exclude_characters="\r", codec="utf-8")), max_size=8)


def read(data, chosen, column="text", max_document_bytes=8192, document="file"):
    units, bad = TextUnits(document, max_document_bytes), BadRows(Counter(), drop=False)
    return list(read_texts(io.BytesIO(data), chosen, place="PLACE", column=column, units=units, bad=bad))


def refusal(data, chosen, **options) -> str:
    with pytest.raises(DataError) as error:
        read(data, chosen, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_name_says_its_format_and_compression():
    assert split_name("a.b.TXT", "p") == ("txt", "")
    assert split_name("a.jsonl.ZST", "p") == ("jsonl", ".zst")
    assert split_name("a.tokens.gz", "p", "txt") == ("txt", ".gz")
    assert split_name("a.csv", "p", "txt") == ("txt", "")


@given(st.text(alphabet=st.sampled_from("ab \n\ufeffé"), max_size=600), st.sampled_from([256, 300, None]))
def test_pieces_of_a_text_join_to_it_without_its_byte_order_mark(text, limit):
    found = read(text.encode(), "txt", max_document_bytes=limit)
    assert "".join(piece for _, piece in found) == text.removeprefix("\ufeff")
    if limit is None or len(text.encode()) <= limit:
        assert [suffix for suffix, _ in found] == [""]
    else:
        assert [suffix for suffix, _ in found] == [f":{i}" for i in range(len(found))]


def test_a_long_text_is_never_read_whole():
    class Counting(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            self.largest = max(self.largest, size if size >= 0 else 10**12)
            return super().read(size)

    stream = Counting(b"line of text\n" * 500_000)
    bad = BadRows(Counter(), drop=False)
    pieces = read_texts(stream, "txt", place="", column="", units=TextUnits("file", 4096), bad=bad)
    assert sum(len(text) for _, text in pieces) == 13 * 500_000
    assert stream.largest <= 2**20


@given(TEXTS)
def test_json_lines_give_the_texts_that_json_wrote(texts):
    data = b"".join(json.dumps({"body": t}).encode() + b"\n" for t in texts)
    assert read(data, "jsonl", "body") == [(f":{i}", t) for i, t in enumerate(texts, 1)]


@given(CSV_TEXTS, st.booleans())
def test_csv_gives_the_texts_that_csv_wrote_quoted_line_ends_included(texts, mark):
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(["n", "text"])
    writer.writerows([i, text] for i, text in enumerate(texts))
    data = ("\ufeff" * mark + file.getvalue()).encode()
    assert [text for _, text in read(data, "csv")] == texts
    starts = list(itertools.accumulate([2, *(text.count("\n") + 1 for text in texts)]))
    assert [suffix for suffix, _ in read(data, "csv")] == [f":{start}" for start in starts[: len(texts)]]


def test_a_long_field_of_csv_is_read():
    assert read(b'text\n"' + b"x" * 500_000 + b'"\n', "csv") == [(":2", "x" * 500_000)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_gives_one_column_batch_by_batch(kind):
    texts = [f"row {i} é" for i in range(700)]
    table = pa.table({"id": list(range(700)), "text": pa.array(texts).cast(kind)})
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=300)
    assert read(file.getvalue(), "parquet") == [(f":{i}", text) for i, text in enumerate(texts)]


def parquet(column) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": column}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"txt": "a"}', "line 2 has no key 'text' (did you mean 'txt'?); its keys are: 'txt'"),
        ('{"text": 3}', "line 2: 'text' must be text, was a number"),
        ('{"text": null}', "line 2: 'text' must be text, was null"),
        ('["text"]', "line 2 must be a JSON object with the key 'text', was a list"),
        ('{"text": ', "line 2 is not JSON: Expecting value"),
        ("[" * 100_000, "line 2 is not JSON: "),
        ('{"text": "\\ud800"}', "half of a surrogate pair at character 0"),
    ],
)
def test_a_bad_json_line_is_named_by_line_and_nearest_key(line, sentence):
    message = refusal(b'{"text": "fine"}\n' + line.encode() + b"\n", "jsonl")
    assert sentence in message
    assert message.startswith("PLACE")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"id,txt\n1,a\n", "PLACE has no column 'text' (did you mean 'txt'?); its columns are: 'id', 'txt'"),
        (
            b"id,text\n1,a\n2,b,c\n",
            "PLACE, line 3 has 3 fields, but the header names 2; a field",
        ),
        (b'id,text\n1,"a\nb\n', "PLACE, line 2 is not CSV: a quote that opens there is never closed."),
        (b'id,text\n1,"a"b\n', "PLACE, line 2 is not CSV"),
        (b"id,text\n1,\xff\n", "PLACE, line 2 is not UTF-8 at byte 10 of the file"),
    ],
)
def test_bad_csv_is_named_by_line_and_nearest_column(data, sentence):
    assert sentence in refusal(data, "csv")


@pytest.mark.parametrize(
    ("data", "column", "sentence"),
    [
        (parquet(["a"]), "txt", "PLACE has no column 'txt' (did you mean 'text'?)"),
        (parquet([1]), "text", "the column 'text' must be text, was int64"),
        (parquet(["a", None]), "text", "PLACE, row 1: 'text' must be text, was null"),
        (b"PAR1 and no more", "text", "PLACE is not a whole Parquet file: "),
        (parquet(["a" * 99])[:-20], "text", "PLACE is not a whole Parquet file: "),
    ],
)
def test_bad_parquet_is_named_by_row_and_nearest_column(data, column, sentence):
    assert sentence in refusal(data, "parquet", column=column)


def test_a_parquet_string_that_is_not_utf8_is_named_by_its_row():
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ok\xff\xff")]
    )
    assert refusal(parquet(broken), "parquet").startswith("PLACE, row 1 is not UTF-8 at its byte 0; ")


@pytest.mark.parametrize("chosen", ["txt", "jsonl"])
def test_text_that_is_not_utf8_is_named_by_its_byte(chosen):
    data = b'{"text": "ok"}\n{"text": "\xff"}\n'
    where = "PLACE, line 2" if chosen == "jsonl" else "PLACE"
    assert f"{where} is not UTF-8 at byte 25 of the file" in refusal(data, chosen)
    if chosen == "txt":
        long = b"x\n" * 5000 + data
        assert "at byte 10025" in refusal(long, chosen, max_document_bytes=300)


def test_a_csv_file_with_a_byte_order_mark_and_quoted_names_is_read():
    assert read(b'\xef\xbb\xbf"text","id"\n"a","1"\n', "csv") == read(b'"text","id"\n"a","1"\n', "csv")
