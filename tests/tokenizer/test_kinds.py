"""Kinds of tokenizers: bytes against Python's own, and a kind of a user's own file as its page has it."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers

from lmexp.core.graph.compose import compose
from lmexp.core.graph.extensions import activate
from lmexp.errors import ConfigError, DataError
from lmexp.tokenizer.config import TOKENIZERS, ByteBPEConfig, ByteConfig
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.train import train_byte_bpe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-tokenizer.md"
BYTES = ByteConfig().make(iter(()))


@pytest.fixture
def words(tmp_path):
    """The kind of the page, active for one test."""
    block, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "words.py"
    file.write_text(block)
    activate([file])
    yield file
    activate([])


@given(st.text())
def test_bytes_are_the_bytes_of_a_text_in_order(text):
    ids = BYTES.encode(text)
    assert b"".join(BYTES.token_contents[i] for i in ids) == text.encode()
    assert len(ids) == len(text.encode())
    assert BYTES.decode(ids) == text


def test_bytes_are_256_and_the_end_of_a_text():
    assert BYTES.vocab_size == 257
    contents = set(BYTES.token_contents)
    assert contents == {bytes([byte]) for byte in range(256)} | {b""}
    assert BYTES.token_bytes[BYTES.eos_token_id] == 0


def test_bpe_is_made_by_its_configuration_as_by_its_training():
    texts = ["the cat sat on the mat 12 12 12\n" * 9]
    for digits in ("keep", "split"):
        made = ByteBPEConfig(vocab_size=280, digits=digits).make(iter(texts))
        trained = train_byte_bpe(iter(texts), vocab_size=280, digits=digits)
        assert made.definition() == trained.definition()
        assert (len(made.encode(" 12")) == 1) is (digits == "keep")


def test_the_kind_of_the_page_has_its_words_as_tokens(words):
    made = TOKENIZERS.kinds["words"](num_words=2).make(iter(["an ant an ant an elk", "12 elk"]))
    assert made.vocab_size == 257 + 3, "of an and ant: a, an and ant behind a space; elk comes third"
    assert [made.decode([i]) for i in made.encode(" an ant elk")] == [" an", " ant", *" elk"]


@pytest.mark.parametrize("kind", ["byte", "words"])
def test_a_kind_is_chosen_by_its_key_and_leaves_the_experiments_size_behind(words, kind, monkeypatch):
    monkeypatch.chdir(words.parent)
    composed = compose(["+experiment=tiny", f"extensions=[{words}]", f"tokenizer.kind={kind}"])
    assert composed.handles["tokenizer"].stage.name == "made_tokenizer"
    assert composed.left_behind == {"tokenizer.vocab_size": 512}
    assert composed.handles["tokenizer"].identity()["tokenizer"]["kind"] == kind
    plain = compose(["+experiment=tiny"])
    assert plain.handles["tokenizer"].identity() == {"vocab_size": 512}


def test_a_kind_that_makes_nothing_is_refused_when_its_file_is_read(words):
    text = words.read_text()
    for name, wrong in (
        ("make", text.replace("def make", "def made")),
        ("label", text.replace("def lab", "def tab")),
    ):
        file = words.with_name(f"no_{name}.py")
        file.write_text(wrong)
        with pytest.raises(
            ConfigError, match=rf"registers WordsConfig as kind 'words', and it defines no '{name}'"
        ):
            activate([file])


def test_a_tokenizer_that_loses_text_is_refused_when_it_is_made():
    backend = Backend(models.BPE())
    backend.normalizer = normalizers.Lowercase()
    with pytest.raises(DataError):
        LibraryTokenizer(backend)
