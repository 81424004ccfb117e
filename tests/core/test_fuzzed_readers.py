"""Whatever bytes a file of a store holds, its reader gives a value or the error that it names."""

import contextlib
import json
import random
from pathlib import Path

import pytest

from lmexp.core.graph.yaml_files import endless
from lmexp.core.records.tables import _rows_of
from lmexp.core.running.entry import expected
from lmexp.core.running.worker import _read_spec
from lmexp.core.store.lease import holder, is_held
from lmexp.core.values.files import LineFollower, parse_json, read_json, read_lines
from lmexp.errors import ConfigError

HOLDER = {"host": "h", "boot": "b", "pid": 12, "started": "345"}
SPEC = {
    key: {} for key in ("stage", "provider", "attempt", "cache", "config", "content", "inputs", "world_size")
}
ROWS = [{"id": "a", "acc": 1.0, "é": ["\u2028", None]}, {"id": "b", "choices": [{"x": 1}]}]
VALUES = [None, True, -1, 2**70, 1e308, "", "é\x00", "\ud800", [], {}, [[]], {"": {}}, "x" * 1000]


def mutated(rng: random.Random, text: str) -> bytes:
    """Return the text with bytes flipped, cut, repeated or replaced, or with another value somewhere."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[at : at + 20] * rng.randint(1, 50)
        elif kind == 3:
            data[at:at] = rng.choice(
                [b"[" * 3000, b'{"a":' * 3000, b"NaN", b"1" * 5000, b"\x00", b"\xff\xfe", b"*a", b"&a "]
            )
        elif kind == 4:
            data[:] = json.dumps(rng.choice(VALUES)).encode()
        else:
            value = json.loads(text.splitlines()[0])
            value[rng.choice(sorted(value))] = rng.choice(VALUES)
            data[:] = json.dumps(value).encode() + b"\n"
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_no_reader_breaks_on_what_a_file_holds(tmp_path, seed):
    rng = random.Random(seed)
    leases = tmp_path / "leases"
    leases.mkdir()
    file, lease = tmp_path / "file.json", leases / "0001.json"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    for _ in range(100):
        file.write_bytes(mutated(rng, json.dumps(SPEC)))
        for reader in (read_json, lambda path: parse_json(path.read_bytes())):
            try:
                reader(file)
            except ValueError:
                continue
        with contextlib.suppress(ConfigError):
            assert set(_read_spec([str(file)])[1]) >= set(SPEC)
        file.write_bytes(mutated(rng, lines))
        assert all(isinstance(row, dict) for row in read_lines(file))
        assert list(read_lines(file)) == LineFollower(file).new()
        table = _rows_of("rows", file)
        assert all(len(row) == len(table.columns) for row in table.rows)
        lease.write_bytes(mutated(rng, json.dumps(HOLDER)))
        assert is_held(leases) in (True, False)
        who = holder(leases)
        assert who is not None
        assert {"host", "boot", "pid", "started"} <= set(who)


def test_no_text_makes_the_reader_of_yaml_break():
    import yaml

    rng = random.Random(0)
    found = {"within bounds": 0, "endless": 0, "no YAML": 0}
    for _ in range(500):
        data = mutated(rng, json.dumps({"a": [1, {"b": "&x [*x]"}], "c": "text"}))
        try:
            found["endless" if endless(data) else "within bounds"] += 1
        except (yaml.YAMLError, ValueError):
            found["no YAML"] += 1
    assert sum(found.values()) == 500
    assert min(found["within bounds"], found["no YAML"]) > 20, found


def test_what_a_reader_raises_is_said_in_a_sentence(tmp_path: Path):
    for error in (OSError(21, "Is a directory", str(tmp_path)), RecursionError()):
        assert str(expected(error)).endswith(".")
