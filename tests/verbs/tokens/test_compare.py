"""`lmexp compare --tokenizers` measures tokenizers on the texts of files and corpora."""

import json

import pytest

from lmexp import cli
from lmexp.corpus.shards import iter_documents


def printed(capsys, *words):
    assert cli.main(["compare", "--tokenizers", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_files_are_domains_and_tokenizers_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("the cat\nthe cat\n")
    (tmp_path / "b.txt").write_text("é\n", encoding="utf-8")
    words = ["byte", "word", "--texts", "a.txt", "--texts", "b.txt", "--learn", "a.txt"]
    head, byte, word = (line.split() for line in printed(capsys, *words).splitlines())
    assert head == ["tokenizer", "ids", "used", "lost", "MB/CPU", "s", "bytes/token", "a.txt", "b.txt"]
    assert byte[:2] == ["byte", "257"]
    assert byte[3] == "0.00%"
    assert byte[5:] == ["1.000", "1.000", "1.000"]
    assert word[3] == f"{2 / 16:.2%}", "é is no word of a.txt"
    assert word[5:] == ["3.200", "3.500", "2.000"]
    found = json.loads(printed(capsys, *words, "--json", "--limit", "1"))
    assert found["word"]["domains"] == {"a.txt": 3.5, "b.txt": 2}
    assert found["word"]["bytes_per_token"] == 9 / 3


def test_the_validation_split_of_a_run_is_compared_on_by_source(finished, capsys):
    store, run, _ = finished
    found = json.loads(
        printed(capsys, "byte", run.name, "--corpus", run.name, f"store={store.root}", "--json")
    )
    documents = list(iter_documents(run.artifact("corpus"), "validation"))
    assert set(found[run.name]["domains"]) == {document.metadata["source"] for document in documents}
    assert found["byte"]["bytes_per_token"] == 1
    assert found[run.name]["bytes_per_token"] > 1.5
    artifact = run.artifact("corpus").relative_to(store.root)
    again = printed(capsys, "byte", "--corpus", artifact, f"store={store.root}", "--json")
    assert json.loads(again)["byte"]["domains"] == found["byte"]["domains"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["byte"], "compare takes --tokenizers and at least one WHAT; see lmexp compare --help."),
        (["--tokenizers"], "compare takes --tokenizers and at least one WHAT; see lmexp compare --help."),
        (
            ["--tokenizers", "byte"],
            "compare needs texts: --texts FILE, once for each domain, or --corpus RUN.",
        ),
        (["--tokenizers", "byte", "byte"], "compare takes each tokenizer once, was given byte, byte."),
        (["--tokenizers", "byte", "--texts", "no.txt"], "no.txt cannot be read (No such file or directory)"),
        (["--tokenizers", "byte", "--texts", "a.txt"], "there is no text to compare tokenizers on"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("\n")
    assert cli.main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"lmexp: {sentence}"), err
    assert err.count("\n") == 1
