"""Sizes of models and two-part code lengths equal a count by hand."""

import json
import math

import numpy as np
import pytest
import torch
import zstandard
from safetensors.torch import load_file, save_file

from lmexp.evals.model_size import (
    code_lengths,
    coded_bytes,
    forms_of,
    stored_bytes,
    two_part_bits_per_byte,
    write_as_told,
)


def zstd(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=19).compress(data))


@pytest.fixture
def folder(tmp_path):
    generator = torch.Generator().manual_seed(0)
    weights = {
        "b": torch.randn(3, 5, generator=generator),
        "a": torch.randn(4, generator=generator),
        "zero": torch.zeros(2, 2),
    }
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"family": "a"}))
    (path / "tokenizer.json").write_text("{}" * 100)
    (path / "README.md").write_text("no part of the model")
    save_file(weights, path / "model.safetensors")
    return path, weights


def planes(arrays):
    """Return the compressed bytes of arrays of one size of number, a byte of each number after the other."""
    numbers = [number for array in arrays for number in array.reshape(-1).tolist()]
    packed = [np.array(number, dtype=arrays[0].dtype).tobytes() for number in numbers]
    return sum(zstd(bytes(number[i] for number in packed)) for i in range(arrays[0].itemsize))


def test_the_bytes_of_each_form_are_those_of_a_count_by_hand(folder):
    path, weights = folder
    texts = json.dumps({"family": "a"}) + "{}" * 100
    assert stored_bytes(path) == len(texts) + (path / "model.safetensors").stat().st_size
    ordered = [weights[name] for name in ("a", "b", "zero")]
    assert forms_of(path) == ("stored", "bf16", "int8")
    assert coded_bytes(path, "stored") == zstd(texts.encode()) + planes([w.numpy() for w in ordered])
    halves = [w.to(torch.bfloat16).view(torch.int16).numpy() for w in ordered]
    assert coded_bytes(path, "bf16") == zstd(texts.encode()) + planes(halves)
    whole, scales = [], []
    for matrix in ordered[1:]:
        for row in matrix.tolist():
            largest = max(abs(w) for w in row)
            whole += [round(127 * w / largest) if largest else 0 for w in row]
            scales.append(largest)
    told = planes([np.array(whole, dtype=np.int8)]) + planes([np.array(scales, dtype=np.float32)])
    assert coded_bytes(path, "int8") == zstd(texts.encode()) + told + planes(halves[:1])


def test_what_arrives_is_as_near_as_its_form_allows(folder, tmp_path):
    path, weights = folder
    for form, off in (("stored", 0), ("bf16", 2**-8), ("int8", 1 / 254)):
        write_as_told(path, form, tmp_path / form)
        assert not (tmp_path / form / "README.md").exists()
        assert (tmp_path / form / "tokenizer.json").read_text() == "{}" * 100
        for name, told in load_file(tmp_path / form / "model.safetensors").items():
            assert told.dtype == torch.float32
            largest = weights[name].abs().amax(dim=-1, keepdim=True)
            assert ((told - weights[name]).abs() <= 1.001 * off * largest + 1e-12).all(), (form, name)


def test_counts_are_told_as_they_are(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    counts = {"tokens": torch.tensor([3, 1, 2**40])}
    save_file(counts, tmp_path / "model.safetensors")
    assert forms_of(tmp_path) == ("stored",)
    assert coded_bytes(tmp_path, "stored") == zstd(b"{}") + planes([counts["tokens"].numpy()])
    write_as_told(tmp_path, "stored", tmp_path / "told")
    assert torch.equal(load_file(tmp_path / "told" / "model.safetensors")["tokens"], counts["tokens"])


def test_a_two_part_code_length_is_both_parts_over_the_bytes_of_the_text():
    nats, text_bytes = 693.0, 500  # a thousand bits
    bits = nats / math.log(2) / text_bytes
    assert two_part_bits_per_byte(250, bits, text_bytes) == pytest.approx((2000 + 999.79) / 500, abs=1e-4)
    found = code_lengths({"stored": 250, "int8": 100}, {"stored": 2.0, "int8": 2.5}, 500)
    assert found == {
        "two_part_bits_per_byte": 4.1,
        "two_part_bits_per_byte/stored": 6.0,
        "two_part_bits_per_byte/int8": 4.1,
    }
    assert code_lengths({"stored": 250}, {"stored": math.inf}, 500) == {}


def test_the_files_of_a_tokenizer_of_ones_own_are_told_too(folder, tmp_path):
    path, _ = folder
    before = stored_bytes(path)
    (path / "tokenizer_own.json").write_text("12345")
    assert stored_bytes(path) == before + 5
    assert coded_bytes(path, "stored") > 0
    write_as_told(path, "stored", tmp_path / "told")
    assert (tmp_path / "told" / "tokenizer_own.json").read_text() == "12345"
    assert not (tmp_path / "told" / "README.md").exists()
