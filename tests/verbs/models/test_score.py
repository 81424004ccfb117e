"""`lmexp score` adds up the model's own log-softmax, ranks by it and colors by it."""

import io
import json
import math

import numpy as np
import pytest

import lmexp
from lmexp import cli
from lmexp.core.store.store import Store
from lmexp.errors import DataError
from lmexp.scoring.texts import TextScore, ranking
from lmexp.verbs.models import score as verb
from tests.models.test_interface import encoder
from tests.verbs.models.made import FAMILIES, log_softmax, made

TEXTS = ["The 7 cats can't sit", "The 7 cats sit can't", "naïve 中文"]


def printed(capsys, *words):
    assert cli.main(["score", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["lists"]


@pytest.mark.parametrize("kind", FAMILIES)
def test_each_family_gives_texts_the_sum_of_its_own_log_softmax(kind, tmp_path, capsys):
    folder = made(tmp_path / "model", kind, padding=3)
    (found,) = printed(capsys, folder, *TEXTS)
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    for one, text in zip(found["candidates"], TEXTS, strict=True):
        ids = tokenizer.encode(text)
        own = log_softmax(model, ids, tokenizer.bos_token_id)[np.arange(len(ids)), ids]
        assert [token["id"] for token in one["tokens"]] == ids
        np.testing.assert_allclose([t["log_prob"] for t in one["tokens"]], own, atol=1e-6, rtol=1e-6)
        assert math.isclose(one["nats"], own.sum(), abs_tol=1e-6 * len(ids), rel_tol=1e-6)
        assert math.isclose(one["bits"], -one["nats"] / math.log(2))
        assert math.isclose(one["bits_per_byte"], one["bits"] / len(text.encode()))
        assert math.isclose(one["perplexity"], math.exp(-one["nats"] / len(ids)))
    ranks = sorted(found["candidates"], key=lambda one: one["rank"])
    assert [one["nats"] for one in ranks] == sorted((o["nats"] for o in ranks), reverse=True)


@pytest.mark.parametrize("tokenizer_family", ["gpt2", "llama3"])
@pytest.mark.parametrize("prompt", ["The 7 cats", "The 7 cats "])
def test_behind_a_prompt_the_tokens_of_the_text_alone_are_scored(tokenizer_family, prompt, tmp_path):
    folder = made(tmp_path / "model", "gru", tokenizer_family)
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    text = " sit on mats"[len(prompt) - 10 :]
    (found,) = lmexp.score(model, tokenizer, text, prompt=prompt)
    begun = [*tokenizer.start_ids, *tokenizer.encode("The 7 cats sit on mats")]
    length = len(tokenizer.encode(" sit on mats"))
    assert list(found.ids) == begun[-length:]
    every = log_softmax(model, begun[1:], begun[0])
    own = every[np.arange(len(begun) - 1), begun[1:]]
    np.testing.assert_allclose(found.log_probs, own[-length:], atol=1e-5)


def test_a_text_longer_than_the_context_is_scored_in_pieces_that_see_what_stands_before(tmp_path):
    folder = made(tmp_path / "model", "gpt2")
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    text = " The cats sit." * 80
    (found,) = lmexp.score(model, tokenizer, [text])
    ids, limit = tokenizer.encode(text), model.context_length
    assert len(ids) > limit
    first = log_softmax(model, ids[: limit - 1], tokenizer.bos_token_id)
    np.testing.assert_allclose(found.log_probs[:limit], first[np.arange(limit), ids[:limit]], atol=1e-5)
    window = ids[limit // 2 - 1 : limit // 2 - 1 + limit]
    second = log_softmax(model, window[1:], window[0])[limit // 2 : limit]
    later = ids[limit : limit + limit // 2]
    np.testing.assert_allclose(
        found.log_probs[limit : limit + len(later)], second[np.arange(len(later)), later], atol=1e-5
    )


def test_lists_of_a_file_are_ranked_each_by_itself_with_their_own_prompts(tmp_path, capsys):
    folder = made(tmp_path / "model", "ngram")
    lines = [
        json.dumps({"candidates": ["cats", "stac"], "prompt": "The 3 ", "id": 17}, ensure_ascii=False),
        json.dumps(["mats, 中文 été", "mats, été 中文"], ensure_ascii=False),
        "",
    ]
    (tmp_path / "lists.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = printed(capsys, folder, "--file", tmp_path / "lists.jsonl", "--prompt", "naïve ")
    assert [(one["prompt"], one.get("id")) for one in found] == [("The 3 ", 17), ("naïve ", None)]
    assert [[c["rank"] for c in one["candidates"]] for one in found] == [[1, 2], [1, 2]]
    alone = printed(capsys, folder, "cats", "stac", "--prompt", "The 3 ")
    assert alone[0]["candidates"] == found[0]["candidates"]
    (tmp_path / "lists.txt").write_text("cats\nstac\n\n\nmats, 中文 été\nmats, été 中文\n", encoding="utf-8")
    assert cli.main(["score", str(folder), "--file", str(tmp_path / "lists.txt")]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [block.splitlines()[1].split("  ")[-1] for block in blocks] == ["'cats'", "'mats, 中文 été'"]


def example():
    log_probs = np.log([0.5, 0.25, 1 / 1024])
    return TextScore("a b c", (1, 2, 3), ("'a'", "' b'", "' c'"), log_probs)


def test_the_sums_of_a_hand_made_text_are_those_of_its_powers_of_two():
    one = example()
    assert one.bits == 13
    assert one.bits_per_byte == 13 / 5
    assert math.isclose(one.nats, -13 * math.log(2))
    assert math.isclose(one.perplexity, 2 ** (13 / 3))
    impossible = TextScore("a", (1,), ("'a'",), np.array([-np.inf]))
    assert (impossible.bits, impossible.perplexity) == (math.inf, math.inf)
    assert ranking([impossible, one, example()]) == [1, 2, 0], "the first of equals"


def test_a_terminal_gets_colors_that_darken_with_surprisal_and_a_pipe_gets_none(monkeypatch):
    for is_terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda is_terminal=is_terminal: is_terminal
        monkeypatch.setattr(verb.sys, "stdout", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("NO_COLOR", raising=False)
        verb._print_row(example())
        lines = stream.getvalue().splitlines()
        assert lines[1] == "1.00 2.00 10.00"
        if is_terminal:
            colors = [verb.shade(bits) for bits in (1, 2, 10)]
            assert [f"48;5;{color}m" in lines[0] for color in colors] == [True] * 3
            assert len(set(colors)) == 3
        else:
            assert lines[0] == "'a'  ' b' ' c'"
    assert [len(row) for row in verb.rows_of(example(), 10)] == [2, 1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "score takes one RUN or the PATH of a model, and texts; see lmexp ls."),
        (["m"], "score takes at least one TEXT behind the model, or --file FILE with lists of candidates."),
        (["m", "a", "--file", "f"], "score takes texts or --file, was given 'a' and f."),
        (
            ["m", "--file", "list.jsonl"],
            "list.jsonl cannot be read (No such file or directory) (did you mean",
        ),
        (["m", "--file", "bad.jsonl"], "bad.jsonl:2 has no key \"candidates\" (did you mean 'candidate'?)"),
        (["m", "--file", "worse.jsonl"], "worse.jsonl:1: candidates must be a list of texts, at least one,"),
        (["m", "--file", "empty.txt"], "empty.txt holds no list; write one candidate a line,"),
        (["./m", "a"], "./m is not the directory of a model, which holds config.json"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "outputs").prepare()
    (tmp_path / "lists.jsonl").write_text('["a"]\n')
    (tmp_path / "bad.jsonl").write_text('["a"]\n{"candidate": ["a"]}\n')
    (tmp_path / "worse.jsonl").write_text("[]\n")
    (tmp_path / "empty.txt").write_text("\n \n")
    assert cli.main(["score", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"lmexp: {sentence.format(here=tmp_path)}"), err
    assert err.count("\n") == 1


def test_what_has_no_next_token_and_what_is_no_text_is_refused(tmp_path):
    folder = made(tmp_path / "model", "gru")
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    with pytest.raises(DataError, match=r"score cannot use this model, of the family encoder: it gives no"):
        lmexp.score(encoder(), tokenizer, "a")
    with pytest.raises(DataError, match=r"not valid UTF-8 at character 1"):
        lmexp.score(model, tokenizer, "a\ud800")
    with pytest.raises(DataError, match=r"an empty text behind a prompt"):
        lmexp.score(model, tokenizer, [""], prompt="a")
    assert lmexp.score(model, tokenizer, "")[0].nats == 0


def test_of_a_model_that_is_no_distribution_both_verbs_say_so(tmp_path, capsys):
    folder = made(tmp_path / "model", "ngram", smoothing="stupid_backoff")
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    assert cli.main(["score", str(folder), TEXTS[0]]) == 0
    assert capsys.readouterr().out.startswith(
        "this model is no distribution: its scores are no probabilities"
    )
    assert cli.main(["next", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("this model is no distribution: p is its scores, scaled")
    scores = log_softmax(model, [], tokenizer.bos_token_id)[0]
    found = lmexp.next_tokens(model, tokenizer, limit=None).tokens
    shares = np.exp(scores - np.log(np.exp(scores).sum()))
    np.testing.assert_allclose([math.exp(token.log_prob) for token in found], shares[[t.id for t in found]])
    assert not math.isclose(np.exp(scores).sum(), 1, abs_tol=1e-3)
