import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from safetensors.numpy import save_file

from lmexp.core.running.difference import first_difference


@pytest.fixture
def difference(tmp_path):
    """Return a function that writes two files of a kind with `write` and returns where they differ."""

    def of(name, write, old, new):
        paths = [tmp_path / folder / name for folder in ("old", "new")]
        for path, value in zip(paths, (old, new), strict=True):
            path.parent.mkdir(exist_ok=True)
            write(path, value)
        return first_difference(*paths)

    return of


def tensors(path, value):
    save_file(value, path)


def raw(path, value):
    path.write_bytes(value)


def test_weights_name_the_first_tensor_the_place_and_the_largest_difference(difference):
    old = {"a": np.zeros((2, 3), "f4"), "b": np.arange(6, dtype="f4").reshape(2, 3)}
    new = {"a": old["a"], "b": old["b"].copy()}
    new["b"][1, 1] += 0.5
    new["b"][1, 2] -= 2
    found = difference("model.safetensors", tensors, old, new)
    assert found == "tensor b at [1, 1]: 4.0 -> 4.5; 2 of 6 differ, by 2 at most"
    new["a"] = old["a"] + 1
    found = difference("model.safetensors", tensors, old, new)
    assert found == "tensor a at [0, 0]: 0.0 -> 1.0; 6 of 6 differ, by 1 at most; 1 more tensors differ"


def test_weights_of_other_names_and_shapes_are_named(difference):
    one = {"a": np.zeros(2, "f4")}
    found = [
        difference("m.safetensors", tensors, one, {"b": one["a"]}),
        difference("m.safetensors", tensors, one, {**one, "b": one["a"]}),
        difference("m.safetensors", tensors, one, {"a": np.zeros(3, "f4")}),
        difference("m.safetensors", tensors, one, {"a": np.zeros(2, "f2")}),
    ]
    assert found == [
        "tensor a is missing",
        "tensor b is new",
        "tensor a is F32[3] instead of F32[2]",
        "tensor a is F16[2] instead of F32[2]",
    ]


def test_brain_floats_are_read_without_torch(difference):
    def write(path, bits):
        header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + np.array(bits, "<u2").tobytes())

    found = difference("m.safetensors", write, [0x3F80, 0x4000], [0x3F80, 0xC040])  # 1, 2 and 1, -3
    assert found == "tensor w at [1]: 2.0 -> -3.0; 1 of 2 differ, by 5 at most"


def test_what_is_not_finite_is_far_from_everything(difference):
    old, new = np.array([1.0, np.nan, np.inf]), np.array([np.nan, np.nan, np.inf])
    assert difference("a.npy", np.save, old, new) == "at [0]: 1.0 -> nan; 1 of 3 differ, by inf at most"


def test_arrays_name_the_element(difference):
    old = np.array([[1, 2], [3, 4]])
    assert difference("a.npy", np.save, old, old + np.diag([0, 7])) == (
        "at [1, 1]: 4 -> 11; 1 of 4 differ, by 7 at most"
    )
    assert difference("a.npy", np.save, old, old[0]) == "the array is int64[2] instead of int64[2, 2]"
    assert difference("a.npy", np.save, np.array(["é"]), np.array(["e"])) == "at [0]: 'é' -> 'e'"


def test_lines_of_json_name_line_and_key(difference):
    def lines(path, rows):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    old = [{"id": "a", "nll": 1.5}, {"id": "b", "nll": [2.0, 3.0]}]
    new = [old[0], {"id": "b", "nll": [2.0, 2.75]}]
    assert difference("x.jsonl", lines, old, new) == "line 2, key nll[1]: 3.0 -> 2.75, -0.25"
    assert difference("x.jsonl", lines, old, [old[0], {"id": "c", "nll": 0}]) == "line 2, key id: 'b' -> 'c'"
    assert difference("x.jsonl", lines, old, [*old, *old]) == "has 2 more lines"
    assert difference("x.jsonl", lines, old, old[:1]) == "has 1 fewer lines"


def test_json_names_the_key_and_a_type_is_a_difference(difference):
    def write(path, value):
        path.write_text(json.dumps(value))

    assert difference("c.json", write, {"a": {"b": 1}}, {"a": {"b": 1.0}}) == "key a.b: 1 -> 1.0, +0"
    assert difference("c.json", write, {"a": 1}, {"a": 1, "c": True}) == "key c: None -> True"
    assert difference("c.json", write, [1], [1, 2]) == "[1] -> [1, 2]"
    long = {"a": "x" * 100}
    assert difference("c.json", write, long, {}) == f"key a: '{'x' * 58}… -> None"


def test_tables_name_row_and_column(difference):
    def write(path, columns):
        parquet.write_table(pa.table(columns), path, row_group_size=700)

    old = {"id": list(range(3000)), "text": ["a"] * 3000}
    new = {"id": old["id"], "text": [*old["text"][:2345], "b", *old["text"][2346:]]}
    assert difference("t.parquet", write, old, new) == "row 2345, key text: 'a' -> 'b'"
    shorter = {"id": old["id"][:2999], "text": old["text"][:2999]}
    assert difference("t.parquet", write, old, shorter) == "has 2,999 rows instead of 3,000"
    assert difference("t.parquet", write, old, {"id": old["id"]}) == "column text is missing"
    assert difference("t.parquet", write, old, {**old, "id": [0.0] * 3000}) == "the columns' types differ"


def test_other_files_name_the_byte(difference):
    assert difference("a.txt", raw, b"same, more", b"same. more") == "byte 4: 0x2c -> 0x2e"
    assert difference("a.txt", raw, b"same", b"same more") == ("ends at byte 4; it has 9 bytes instead of 4")
    block = b"x" * (1 << 20)
    assert difference("a.txt", raw, block + b"ab", block + b"ac") == "byte 1048577: 0x62 -> 0x63"
    assert difference("t.bin", raw, b"\1\0\2\0\3\0", b"\1\0\2\0\4\0") == (
        "byte 4 (element 2 of two bytes, 1 of four): 0x03 -> 0x04"
    )


@pytest.mark.parametrize("suffix", ["safetensors", "parquet", "jsonl", "json", "npy"])
def test_a_file_that_is_not_what_its_name_says_is_compared_by_bytes(difference, suffix):
    assert difference(f"a.{suffix}", raw, b"\xff\xfe\x00", b"\xff\xfe\x01") == "byte 2: 0x00 -> 0x01"


def test_files_that_are_equal_in_value_alone_differ_in_a_byte(difference):
    assert difference("a.json", raw, b'{"a": 1}', b'{"a":1}').startswith("byte 5: 0x20 -> 0x31")
    assert difference("a.npy", np.save, np.array([0.0]), np.array([-0.0])) == "byte 135: 0x00 -> 0x80"
    assert difference("a.json", raw, b"{}", b"{}") == ""


def test_a_missing_and_a_new_file_are_said(tmp_path):
    there, not_there = tmp_path / "a.txt", tmp_path / "b.txt"
    there.write_text("a")
    assert first_difference(there, not_there) == "is missing"
    assert first_difference(not_there, there) == "is new"


@given(st.binary(max_size=40), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_the_first_byte_is_the_one_that_a_slow_look_finds(tmp_path_factory, a, b):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    found = first_difference(folder / "a", folder / "b")
    place = next((i for i in range(max(len(a), len(b))) if a[i : i + 1] != b[i : i + 1]), None)
    if place is None:
        assert found == ""
    else:
        assert found.startswith((f"byte {place}: ", f"ends at byte {place};"))
