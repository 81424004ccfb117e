"""Files of tiktoken beside tiktoken itself."""

import base64

import numpy as np
import pytest

from lmexp import stages
from lmexp.core.values.files import FileHasher
from lmexp.errors import DataError
from lmexp.stages.adopted import AdoptedConfig
from lmexp.tokenizer.config import ByteBPEConfig
from lmexp.tokenizer.foreign.tiktoken_file import PATTERNS, read_tiktoken
from lmexp.tokenizer.hard_texts import hard_texts
from tests.stages.by_hand import Stages
from tests.tokenizer.families import TEXTS

TRAINED = ByteBPEConfig(vocab_size=400).make(iter(TEXTS))
RANKS = {content: i - 1 for i, content in enumerate(TRAINED.token_contents) if content}


def write(path, ranks=RANKS):
    lines = (b"%s %d" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_the_merges_of_a_trained_tokenizer_come_back_from_its_tokens(tmp_path):
    made = read_tiktoken(write(tmp_path / "r50k_base.tiktoken"))
    for text in (*TEXTS[:20], *hard_texts(TRAINED)):
        assert [i + 1 for i in made.encode(text)] == TRAINED.encode(text)
    assert made.is_lossless
    assert made.eos_token_id == 399


@pytest.mark.parametrize("name", PATTERNS)
def test_it_encodes_as_tiktoken_does_with_its_own_pattern(name, tmp_path, monkeypatch):
    public = pytest.importorskip("tiktoken_ext.openai_public")
    tiktoken = pytest.importorskip("tiktoken")
    for loader in ("load_tiktoken_bpe", "data_gym_to_mergeable_bpe_ranks"):  # they would download
        monkeypatch.setattr(public, loader, lambda *_, **_more: dict.fromkeys(range(50256)))
    pattern = public.ENCODING_CONSTRUCTORS[name]()["pat_str"]
    theirs = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=RANKS, special_tokens={})
    made = read_tiktoken(write(tmp_path / f"{name}.tiktoken"))
    for text in (*TEXTS[:20], *hard_texts(TRAINED)):
        assert made.encode(text) == theirs.encode(text, disallowed_special=()), text[:60]
        assert made.decode(made.encode(text)) == text


def test_a_file_is_adopted_by_its_content_and_its_name(tmp_path):
    (tmp_path / "stages").mkdir()
    run = Stages(tmp_path / "stages")
    file = write(tmp_path / "cl100k_base.tiktoken")
    artifact = run(stages.adopted_tokenizer, AdoptedConfig(path=str(file)))
    assert run.metrics == {"vocab_size": 400}
    assert artifact.load().definition() == read_tiktoken(file).definition()
    content = stages.adopted_tokenizer.content
    other = write(tmp_path / "gpt2.tiktoken")
    assert content(AdoptedConfig(path=str(file)), FileHasher()).keys() == {file.name}
    assert content(AdoptedConfig(path=str(other)), FileHasher()).keys() == {other.name}


def dropped(token):
    return {t: rank for t, rank in RANKS.items() if t != token}


LONG = max(RANKS, key=len)
FIRST = next(token for token, rank in RANKS.items() if rank == 256)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("words", None, r"is called 'words'.*call it one of gpt2, r50k_base"),
        ("gpt2", b"AAAA\n", "line 1 is no token in base64 and its rank"),
        ("gpt2", b"A!== 3\n", "line 1 is no token"),
        ("gpt2", b"YQ== 0\nYQ== 1\n", "line 2 holds b'a', empty or for the second time"),
        ("gpt2", dropped(FIRST), "is no merge of two tokens of lower rank"),
        ("gpt2", dropped(b"q"), "without the byte 0x71"),
        ("gpt2", RANKS | {LONG: 100_000}, "and none with the id"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(tmp_path, name, data, sentence):
    path = tmp_path / f"{name}.tiktoken"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        write(path, RANKS if data is None else data)
    with pytest.raises(DataError, match=sentence) as error:
        read_tiktoken(path)
    assert "\n" not in str(error.value)


def test_the_end_of_a_text_gets_the_first_id_that_is_free(tmp_path):
    shifted = {token: rank + (rank >= 300) for token, rank in RANKS.items()}  # as in p50k_base
    made = read_tiktoken(write(tmp_path / "p50k_base.tiktoken", shifted))
    assert (made.eos_token_id, made.vocab_size) == (300, 400)
    plain = [i - 1 for i in TRAINED.encode(TEXTS[0])]
    assert made.encode(TEXTS[0]) == [rank + (rank >= 300) for rank in plain]


def test_ranks_are_the_ids(tmp_path):
    made = read_tiktoken(write(tmp_path / "o200k_base.tiktoken"))
    assert all(made.token_contents[rank] == token for token, rank in RANKS.items())
    np.testing.assert_array_equal(np.array([len(c) for c in made.token_contents]), made.token_bytes)
