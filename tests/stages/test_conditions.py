"""Conditions: what is done is taken as it is, everything else is computed again."""

import json

import pytest

from lmexp.stages.conditions import Conditions

ROWS = {
    "a-0": [{"id": "1", "x": 0.1 + 0.2, "t": "ü\u2028\x1f"}],
    "b-0": [{"id": "2", "x": -1e-300}, {"id": "3"}],
}


def run(folder, computed, *, stop=lambda: False):
    conditions = Conditions(folder, stop)

    def compute(name):
        computed.append(name)
        return ROWS[name]

    return {name: conditions.rows(name, lambda name=name: compute(name)) for name in ROWS}


def test_a_condition_that_is_done_is_taken_bit_for_bit(tmp_path):
    computed = []
    assert run(tmp_path, computed) == run(tmp_path, computed) == ROWS
    assert computed == ["a-0", "b-0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("step-1.ckpt", "step-1.jsonl", "step-2.ckpt", "step-2.jsonl")
    ]


@pytest.mark.parametrize("harm", ["flip", "cut", "no rows", "no mark", "another's", "no JSON"])
def test_what_is_not_whole_is_computed_again(tmp_path, harm):
    run(tmp_path, [])
    rows, mark = tmp_path / "step-1.jsonl", tmp_path / "step-1.ckpt"
    if harm == "flip":
        rows.write_text(rows.read_text().replace("0.3", "0.4"))
    elif harm == "cut":
        rows.write_bytes(rows.read_bytes()[:-5])
    elif harm == "no rows":
        rows.unlink()
    elif harm == "no mark":
        mark.unlink()
    elif harm == "another's":
        mark.write_text(json.dumps({**json.loads(mark.read_text()), "condition": "a-4"}))
    else:
        mark.write_text("{")
    computed = []
    assert run(tmp_path, computed) == ROWS
    assert computed == ["a-0"]


def test_a_request_to_stop_is_followed_before_the_next_computation(tmp_path):
    stops = iter([False, True, True])
    found = run(tmp_path, [], stop=lambda: next(stops))
    assert found == {"a-0": ROWS["a-0"], "b-0": None}
    computed = []
    assert run(tmp_path, computed) == ROWS
    assert computed == ["b-0"]


def test_the_rows_of_chunks_follow_each_other_and_those_that_are_done_are_taken(tmp_path):
    computed = []

    def compute(chunk):
        computed.append(chunk)
        return [{"id": item} for item in chunk]

    chunks, whole = [[1, 2], [3], [4, 5]], [{"id": i} for i in (1, 2, 3, 4, 5)]
    stops = iter([False, False, True])
    first = Conditions(tmp_path, lambda: next(stops))
    assert list(first.each("a", chunks, compute)) == whole[:3]
    assert first.stopped
    second = Conditions(tmp_path, lambda: False)
    assert list(second.each("a", chunks, compute)) == whole
    assert not second.stopped
    assert computed == chunks
    # chunks of other lengths are others
    assert list(Conditions(tmp_path, lambda: False).each("a", [[1, 2, 3], [4, 5]], compute)) == whole
    assert computed == [*chunks, [1, 2, 3], [4, 5]]
