"""`lmexp tokenize` shows tokens, ids and bytes under each tokenizer that is named."""

import json

import pytest

from lmexp import cli, load_tokenizer, tokenize
from tests.tokenizer.families import written

TEXT = "don't fine-tune 中文 é"


def printed(capsys, *words):
    assert cli.main(["tokenize", *map(str, words)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("family", ["gpt2", "llama3", "qwen2"])
def test_ids_are_the_tokenizers_and_bytes_add_up_to_the_text(family, tmp_path, capsys):
    folder = written(tmp_path, family)
    (entry,) = json.loads(printed(capsys, TEXT, "a", "--tokenizer", folder, "--json"))["tokenizers"]
    found, _ = entry["texts"]
    assert [token["id"] for token in found["tokens"]] == load_tokenizer(folder).encode(TEXT)
    assert b"".join(bytes.fromhex(token["bytes"]) for token in found["tokens"]) == TEXT.encode()
    own = tokenize(load_tokenizer(folder), TEXT)
    assert [{"id": t.id, "text": t.text, "bytes": t.content.hex(" ")} for t in own] == found["tokens"]
    assert found["comes_back"] is True
    assert found["bytes"] == len(TEXT.encode())


def test_a_cut_character_is_shown_as_its_bytes_and_tokenizers_stand_side_by_side(tmp_path, capsys):
    (tmp_path / "learn.txt").write_text("中文 中文\n", encoding="utf-8")
    out = printed(
        capsys, "中", "--tokenizer", "byte", "--tokenizer", "byte_bpe:258", "--learn", tmp_path / "learn.txt"
    )
    # of the pairs that stand twice in `中文 中文` the trainer takes that of the lowest ids first: b8 ad
    assert out.splitlines() == [
        "byte",
        "'中': 3 tokens of 3 bytes",
        "     161  '\\xe4'  e4",
        "     117  '\\xb8'  b8",
        "     256  '\\xad'  ad",
        "",
        "byte_bpe:258",
        "'中': 2 tokens of 3 bytes",
        "     161  '\\xe4'      e4",
        "     257  '\\xb8\\xad'  b8 ad",
    ]


def test_a_run_and_an_artifact_name_their_tokenizer(tmp_path, capsys):
    folder, store = written(tmp_path / "gpt2", "gpt2"), f"store={tmp_path / 'store'}"
    assert cli.main(["adopt", "tokenizer", str(folder), store]) == 0
    artifact = capsys.readouterr().out.splitlines()[0].removeprefix("adopted as ")
    expected = printed(capsys, TEXT, "--tokenizer", folder)
    for name in ("last", artifact):
        assert printed(capsys, TEXT, "--tokenizer", name, store) == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "tokenize takes at least one TEXT and --tokenizer WHAT; see lmexp tokenize --help."),
        (
            ["a", "--tokenizer", "byt"],
            "'byt' is no tokenizer (did you mean 'byte'?); give a run,",
        ),
        (["a", "--tokenizer", "./x"], "'./x' is no tokenizer; give a run, an artifact, a directory with"),
        (
            ["a", "--tokenizer", "byte_bpe"],
            "a tokenizer of the kind byte_bpe is learnt from text;",
        ),
        (["a", "--tokenizer", "byte:9"], "vocab_size"),
        (["a\ud800", "--tokenizer", "byte"], "the text is not valid UTF-8 at character 1."),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    assert cli.main(["tokenize", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("lmexp: ")
    assert sentence in err
    assert err.count("\n") == 1
