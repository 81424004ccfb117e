"""`lmexp next` shows the model's own distribution, and cuts it where a generation would."""

import json
import math

import numpy as np
import pytest

import lmexp
from lmexp import cli
from lmexp.errors import ConfigError, DataError
from lmexp.generation.next_token import NextToken, NextTokens
from lmexp.verbs.models.next_token import drawn_lines
from tests.verbs.models.made import FAMILIES, log_softmax, made

PROMPT = "The 7 cats can't"


def printed(capsys, *words):
    assert cli.main(["next", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("prompt", [PROMPT, ""])
def test_each_family_gives_the_probabilities_of_its_own_log_softmax(kind, prompt, tmp_path, capsys):
    folder = made(tmp_path / "model", kind)
    found = printed(capsys, folder, "--prompt", prompt, "--limit", 10_000)
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    expected = log_softmax(model, tokenizer.encode(prompt), tokenizer.bos_token_id)
    # a prompt is read without the token that begins a document, which counts and networks may see
    if prompt:
        own = log_softmax(model, tokenizer.encode(prompt)[1:], tokenizer.encode(prompt)[0])
        expected = own
    got = np.full(model.vocab_size, np.nan)
    for token in found["tokens"]:
        got[token["id"]] = token["log_prob"]
    np.testing.assert_allclose(got, expected[-1], atol=1e-6, rtol=1e-6)
    assert found["num_others"] == 0
    assert found["others_prob"] == 0
    assert [t["log_prob"] for t in found["tokens"]] == sorted(got.tolist(), reverse=True)


def slow_cut(probs, temperature, top_k, top_p):
    """Return what is drawn of a list of probabilities: an obvious second way."""
    warmed = [p ** (1 / temperature) for p in probs]
    order = sorted(range(len(probs)), key=lambda i: (-probs[i], i))[: top_k or len(probs)]
    total = sum(warmed[i] for i in order)
    kept, reached = [], 0.0
    for i in order:
        if reached >= (top_p or 2):
            break
        kept.append(i)
        reached += warmed[i] / total
    left = sum(warmed[i] for i in kept)
    return [warmed[i] / left if i in kept else 0.0 for i in range(len(probs))]


@pytest.mark.parametrize("sampling", [(0.5, None, None), (2, 7, None), (1, None, 0.8), (1.5, 50, 0.6)])
def test_what_is_drawn_is_cut_as_an_obvious_second_way_cuts_it(sampling, tmp_path, capsys):
    folder = made(tmp_path / "model", "gpt2", padding=9)
    temperature, top_k, top_p = sampling
    options = ["--temperature", temperature]
    options += ["--top-k", top_k] if top_k else []
    options += ["--top-p", top_p] if top_p else []
    found = printed(capsys, folder, "--prompt", PROMPT, "--limit", 10_000, *options)
    by_id = {token["id"]: token for token in found["tokens"]}
    size = lmexp.load_tokenizer(folder).vocab_size
    assert sorted(by_id) == list(range(size + 9))
    assert all(by_id[i]["drawn"] == 0 and by_id[i]["text"] == f"[{i}]" for i in range(size, size + 9))
    expected = slow_cut([by_id[i]["prob"] for i in range(size)], *sampling)
    np.testing.assert_allclose([by_id[i]["drawn"] for i in range(size)], expected, atol=1e-12)
    assert found["num_kept"] == np.count_nonzero(expected)
    assert math.isclose(found["kept_prob"], sum(by_id[i]["prob"] for i in range(size) if expected[i]))
    some = printed(capsys, folder, "--prompt", PROMPT, "--limit", 3, *options)
    assert some["tokens"] == found["tokens"][:3]
    assert math.isclose(some["others_prob"], sum(token["prob"] for token in found["tokens"][3:]))
    assert math.isclose(some["others_drawn"], sum(token["drawn"] for token in found["tokens"][3:]))


def test_a_prompt_longer_than_the_context_is_read_from_its_right_and_behind_no_start_token(tmp_path):
    folder = made(tmp_path / "model", "gpt2", "llama3")
    model, tokenizer = lmexp.load_model(folder), lmexp.load_tokenizer(folder)
    short = log_softmax(model, tokenizer.encode(PROMPT), tokenizer.bos_token_id)[-1]
    (first, *_) = lmexp.next_tokens(model, tokenizer, PROMPT, limit=1).tokens
    assert first.id == short.argmax(), "the start token is read before every text"
    assert math.isclose(first.log_prob, short.max(), rel_tol=1e-5)
    ids = tokenizer.encode(PROMPT * 60)
    assert len(ids) > model.context_length
    last = ids[-model.context_length :]
    (first, *_) = lmexp.next_tokens(model, tokenizer, PROMPT * 60, limit=1).tokens
    assert math.isclose(first.log_prob, log_softmax(model, last[1:], last[0])[-1].max(), rel_tol=1e-5)


def three(drawn, num_others=0):
    tokens = tuple(
        NextToken(i, f"'{text}'", math.log(p), d)
        for i, (text, p, d) in enumerate(zip("abc", (0.5, 0.25, 0.125), drawn, strict=True))
    )
    kept = sum(d > 0 for d in drawn)
    return NextTokens(tokens, num_others, 0.125, 0.0, kept, sum((0.5, 0.25, 0.125)[:kept]))


def test_bars_are_as_long_as_probabilities_and_a_line_stands_where_the_cut_is():
    plain = list(drawn_lines(three((0.5, 0.25, 0.125), 5), [], columns=36, signs="#."))
    assert plain == [
        "  0.5000  'a'       " + "#" * 16,
        "  0.2500  'b'       " + "#" * 8,
        "  0.1250  'c'       " + "#" * 4,
        "  0.1250  5 others",
    ]
    cut = list(drawn_lines(three((0.75, 0.25, 0.0), 5), ["top-k 2"], columns=46, signs="#."))
    assert cut == [
        "       p     drawn  token",
        "  0.5000    0.7500  'a'       " + "#" * 16,
        "  0.2500    0.2500  'b'       " + "#" * 5,
        "--- top-k 2: cut after 2 tokens with 0.7500 of p",
        "  0.1250    0.0000  'c'       " + "." * 3,
        "  0.1250    0.0000  5 others",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "next takes one RUN or the PATH of a model; see lmexp ls."),
        (["--limit", "0"], "--limit takes a whole number, at least 1, was '0'."),
        (["--top-k", "x"], "top_k must be an integer, was 'x'."),
        (["--temperature", "-1"], "temperature must be at least 0, was -1.0."),
        (["top_p=0.5"], "next takes top_p as an option; write --top-p VALUE."),
        (["--topk", "3"], "--topk is not an option (did you mean '--top-k'?); see --help."),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, capsys):
    assert cli.main(["next", *words]) == 2
    assert capsys.readouterr().err == f"lmexp: {sentence}\n"


def test_a_model_that_reads_both_ways_is_refused_and_a_key_that_is_none(tmp_path):
    folder = made(tmp_path / "model", "gpt2")
    tokenizer = lmexp.load_tokenizer(folder)
    from tests.models.test_interface import encoder

    with pytest.raises(DataError, match=r"load both from the same directory"):
        lmexp.next_tokens(encoder(), tokenizer, PROMPT)
    with pytest.raises(ConfigError, match=r"top_q"):
        lmexp.next_tokens(lmexp.load_model(folder), tokenizer, PROMPT, top_q=1)
