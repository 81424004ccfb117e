"""The tokenizer: lossless on every text, deterministic, and the same in transformers."""

import hashlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.folder import load_tokenizer
from lmexp.tokenizer.roles import END_OF_TEXT

CORPUS = [
    f"def function_{i}(argument, other):\n    return argument + {i} * other  # été 😀\n" for i in range(50)
]


@pytest.fixture(scope="module")
def tokenizer():
    return ByteBPEConfig(vocab_size=300).make(iter(CORPUS))


@given(st.text())
@example(f"a{END_OF_TEXT}b {END_OF_TEXT}")
@example(" \n\t\r\n  \x00")
@settings(max_examples=200)
def test_every_text_round_trips_and_its_tokens_add_up_to_its_bytes(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert int(tokenizer.token_bytes[ids].sum()) == len(text.encode())
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.encode_batch([text, "", text]) == [ids, [], ids]


def test_ids_are_the_special_token_then_bytes_then_merges(tokenizer):
    assert tokenizer.eos_token_id == 0
    assert tokenizer.vocab_size == 300
    assert tokenizer.token_bytes[0] == 0
    assert np.all(tokenizer.token_bytes[1:257] == 1)
    assert np.all(tokenizer.token_bytes[257:] >= 2)
    assert tokenizer.decode([0]) == END_OF_TEXT


def test_merges_are_those_of_a_slow_implementation():
    text = "low lower lowest low slow slower"
    trained = ByteBPEConfig(vocab_size=262).make(iter([text]))
    words = [list(w) for w in ("low", "Ġlower", "Ġlowest", "Ġlow", "Ġslow", "Ġslower")]
    merges = []
    for _ in range(5):
        counts: dict[tuple[str, str], int] = {}
        for word in words:
            for pair in itertools.pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        most = max(counts.values())
        best = {pair for pair, n in counts.items() if n == most}
        left, right = next(p for p in trained_pairs(trained)[len(merges) :] if p in best)
        merges.append((left, right))
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == (left, right):
                    word[i : i + 2] = [left + right]
                i += 1
    assert merges == trained_pairs(trained)


def trained_pairs(tokenizer):
    model = json.loads(tokenizer._backend.to_str())["model"]
    return [tuple(pair) for pair in model["merges"]]


def test_training_twice_in_separate_processes_gives_the_same_bytes(tokenizer, tmp_path):
    code = (
        "import sys, pathlib, json;"
        "from lmexp.tokenizer.config import ByteBPEConfig;"
        "texts = json.load(sys.stdin);"
        "ByteBPEConfig(vocab_size=300).make(iter(texts)).save(pathlib.Path(sys.argv[1]))"
    )
    digests = set()
    for name in ("one", "two"):
        out = tmp_path / name
        subprocess.run([sys.executable, "-c", code, str(out)], input=json.dumps(CORPUS).encode(), check=True)
        digests.add(hashlib.sha256((out / "tokenizer.json").read_bytes()).hexdigest())
    tokenizer.save(tmp_path / "here")
    digests.add(hashlib.sha256((tmp_path / "here" / "tokenizer.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_small_corpus_yields_fewer_tokens_than_asked():
    assert ByteBPEConfig(vocab_size=4096).make(iter(["ab ab"])).vocab_size < 270


def test_transformers_loads_the_folder_and_gives_the_same_ids(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = load_tokenizer(tmp_path)
    assert theirs.is_fast
    assert theirs.bos_token_id == theirs.eos_token_id == ours.eos_token_id == 0
    for text in (*CORPUS[:5], "", " a", f"x{END_OF_TEXT}y", "naïve 😀\n\n  z"):
        assert theirs(text)["input_ids"] == ours.encode(text) == tokenizer.encode(text)
        assert theirs.decode(ours.encode(text)) == text


def test_a_folder_without_a_tokenizer_and_a_broken_file_are_sentences(tmp_path):
    with pytest.raises(DataError, match=r"holds no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        load_tokenizer(tmp_path)
