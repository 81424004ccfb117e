"""`lmexp tokenizer trace` shows the merges and the segmentations that a textbook draws."""

import json

import pytest

from lmexp import cli

THE = ["the car", "the cat", "the rat"]


def printed(capsys, *words):
    assert cli.main(["tokenizer", "trace", *words]) == 0
    return capsys.readouterr().out


def test_the_textbooks_merges_are_shown_with_counts_ties_and_words(capsys):
    out = printed(capsys, *THE, "--ties", "first", "--split", "space", "--limit", "3")
    assert out.splitlines() == [
        "    1        3 x  't' 'h' -> 'th'   tied with 'h' 'e'",
        "                th e | c a r | c a t | r a t",
        "    2        3 x  'th' 'e' -> 'the'",
        "                the | c a r | c a t | r a t",
        "    3        2 x  'c' 'a' -> 'ca'   tied with 'a' 't'",
        "                the | ca r | ca t | r a t",
    ]
    found = json.loads(printed(capsys, *THE, "--ties", "first", "--split", "space", "--json"))
    assert [merge["token"] for merge in found] == ["'th'", "'the'", "'ca'", "'car'", "'cat'", "'ra'", "'rat'"]
    assert printed(capsys, "aé").endswith("no pair is left\n")


def test_a_file_holds_one_text_a_line(tmp_path, capsys):
    (tmp_path / "the.txt").write_text("\n".join(THE))
    assert printed(capsys, "--file", str(tmp_path / "the.txt")) == printed(capsys, *THE)


def test_the_textbooks_segmentation_has_4_27_and_em_counts_it(capsys):
    out = printed(capsys, "ababc", "--pieces", "ab=2/3,c=1/3", "--em", "1")
    assert "'ababc': p = 4/27 = 0.1481" in out
    assert "  most likely: ab.ab.c   4/27 = 0.1481" in out
    found = json.loads(printed(capsys, "ababc", "--pieces", "ab,c,a,b", "--em", "3", "--json"))
    (text,) = found["texts"]
    assert [way["prob"] for way in text["segmentations"]] == ["1/64", "1/256", "1/256", "1/1024"]
    assert text["prob"] == "25/1024"
    # 16/25 of the weight has ab twice, 8/25 once
    assert found["em"][0]["expected"] == pytest.approx({"ab": 1.6, "c": 1, "a": 0.4, "b": 0.4})
    assert found["em"][0]["probs"]["ab"] == pytest.approx(1.6 / 3.4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trce", "a"], "tokenizer takes trace and texts, was given 'trce' (did you mean 'trace'?)"),
        ([], "tokenizer takes trace and texts, was given ''"),
        (["trace"], "tokenizer trace takes at least one TEXT, or --file FILE with one text a line."),
        (
            ["trace", "a", "--ties", "frist"],
            "--ties takes one of reference, first, was 'frist' (did",
        ),
        (
            ["trace", "a", "--split", "gpt"],
            "--split takes one of gpt2, space, was 'gpt' (did",
        ),
        (["trace", "a", "--em", "2"], "--em trains the pieces of a Unigram model; name them with --pieces."),
        (
            ["trace", "a", "--pieces", "a", "--ties", "first"],
            "--ties speaks of merges, and --pieces",
        ),
        (["trace", "a", "--pieces", "a=1,a=0"], "--pieces must name each piece once, as in ab=2/3,c=1/3,"),
        (["trace", "a", "--pieces", "a=x"], "the probability of 'a' must be a number, was 'x'."),
        (["trace", "a", "--pieces", "a=2"], "the probability of 'a' must be between 0 and 1, was 2."),
        (["trace", "a", "--pieces", "a=0.5"], "the probabilities of --pieces must sum to 1, was 0.5."),
        (["trace", "ax", "--pieces", "a=1"], "'ax' cannot be split into the pieces; add one for each"),
        (["trace", "a", "--limit", "0"], "--limit takes a whole number, at least 1, was '0'."),
        (["trace", "--file", "none.txt"], "none.txt cannot be read (No such file or directory); give a text"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tokenizer", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"lmexp: {sentence}"), err
    assert err.count("\n") == 1
