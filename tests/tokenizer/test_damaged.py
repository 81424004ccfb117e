"""Damaged, odd, deep and huge files: one sentence each, whatever is wrong with them."""

import json
import random
import struct
from pathlib import Path

import pytest

from lmexp.errors import DataError
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.models.folder import load_model, save_network
from lmexp.tokenizer.folder import load_tokenizer
from tests.tokenizer.families import written

ODD = (
    None, True, -1, 0, 1e300, 2**70, "", "x", "\ud800", [], [1], {}, {"type": 3}, "NaN", [[]], {"a": {}},
)  # fmt: skip
RAW = (
    b"", b"{", b"[]", b"null", b"3", b"\xff\xfe{}", b"\x00" * 50, b'{"a": 1, "a": 2}', b"[" * 200_000,
    b'{"a":' * 200_000, b'{"model": {"type": "BPE"}}', b'{"vocab_size": NaN}', b"\xef\xbb\xbf{}", b'"\\ud8"',
)  # fmt: skip


def outcome(read, folder: Path) -> None:
    """Read a folder; a failure is one sentence."""
    message = "read"
    try:
        read(folder)
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 1500


def change(value, draw: random.Random):
    """Replace, drop or repeat one thing somewhere inside a JSON value, large tables seldom."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        small = [key for key, inner in value.items() if not isinstance(inner, dict) or len(inner) < 50]
        key = draw.choice(small if small and draw.random() < 0.9 else list(value))
        if draw.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: change(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.7:
        i = draw.randrange(len(value))
        return [*value[:i], change(value[i], draw), *value[i + draw.randint(0, 1) :]]
    return draw.choice(ODD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tokenizer = load_tokenizer(written(folder, "llama3"))
    config = GPTConfig(context_length=16, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8)
    save_network(build_model(config, tokenizer.vocab_size), folder, eos_token_id=0)
    return folder


@pytest.fixture
def put(folder):
    """Write bytes into a file of the folder, and put back what was there."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    yield lambda name, data: (folder / name).write_bytes(data)
    for path, data in before.items():
        path.write_bytes(data)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_json_file_changed_at_random_is_read_or_refused_in_a_sentence(folder, put, name):
    read = load_model if name == "config.json" else load_tokenizer
    whole = json.loads((folder / name).read_text(encoding="utf-8"))
    for seed in range(100):
        draw = random.Random(seed)
        changed = whole
        for _ in range(draw.randint(1, 3)):
            changed = change(changed, draw) if isinstance(changed, dict) else changed
        put(name, json.dumps(changed).encode())
        outcome(read, folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_file_that_is_no_json_object_is_refused_in_a_sentence(folder, put, name):
    read = load_model if name == "config.json" else load_tokenizer
    data = (folder / name).read_bytes()
    cuts = [data[: len(data) * i // 9] for i in range(9)]
    for raw in (*RAW, *cuts):
        put(name, raw)
        outcome(read, folder)


def test_weights_that_are_cut_flipped_or_lie_about_themselves_are_refused_in_a_sentence(folder, put):
    data = (folder / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for seed in range(150):
        draw = random.Random(seed)
        match seed % 3:
            case 0:
                changed = bytearray(data)
                for _ in range(draw.randint(1, 4)):
                    changed[draw.randrange(8 + size)] ^= 1 << draw.randrange(8)
                put("model.safetensors", bytes(changed))
            case 1:
                put("model.safetensors", data[: draw.randrange(len(data))])
            case _:
                text = json.dumps(change(header, draw)).encode()
                put("model.safetensors", struct.pack("<Q", len(text)) + text + data[8 + size :])
        outcome(load_model, folder)
