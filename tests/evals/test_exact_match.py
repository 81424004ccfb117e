"""Exact match: greedy as one token after another without a cache, and comparison by stated rules."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.exact_match import cut, greedy, normalised, score_answers
from lmexp.evals.prompts import prompts_of
from lmexp.evals.tasks.items import ExactMatch, Item, Task
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.tokenizer.config import ByteBPEConfig

EOS = 0
SHAPE = GPTConfig(context_length=16, num_layers=2, num_heads=2, num_kv_heads=1, d_model=16)


def shaken(vocab_size):
    model = build_model(SHAPE, vocab_size, seed=3)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i))
            parameter.add_(noise * 0.5)
    return model


@pytest.fixture(scope="module")
def model():
    return shaken(9)


def naive(model, prompt, max_new_tokens, stop):
    tokens, new = list(prompt), []
    with torch.no_grad():
        while len(new) < max_new_tokens:
            token = int(model(torch.tensor([tokens]))[0, -1].argmax())
            if token == EOS:
                break
            tokens.append(token)
            new.append(token)
            if stop in new:
                break
    return new


@given(
    st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=8), min_size=1, max_size=9), st.integers(1, 4)
)
@settings(max_examples=30, deadline=None)
def test_greedy_takes_the_most_likely_token_each_time(model, prompts, batch_size):
    found = greedy(
        model,
        prompts,
        max_new_tokens=8,
        ends={EOS},
        stops=lambda ids: 3 in ids,
        batch_size=batch_size,
    )
    assert found == [naive(model, prompt, 8, 3) for prompt in prompts]


@pytest.mark.parametrize(
    ("text", "until", "expected"),
    [
        ("four\nfive", ("\n",), "four"),
        ("a.b;c", (";", "."), "a"),
        ("none", ("\n",), "none"),
        ("\nlate", ("\n",), "\nlate"),
        (" four five", (" ",), " four"),
        ("\n\n four\nfive", ("\n",), "\n\n four"),
        ("\t", ("\t",), "\t"),
        ("x", (), "x"),
    ],
)
def test_an_answer_ends_before_the_first_stop(text, until, expected):
    assert cut(text, until) == expected


def test_comparison_forgives_white_space_and_what_the_task_says():
    plain, lenient = ExactMatch(), ExactMatch(ignore_case=True, ignore_punctuation=True)
    assert normalised("  a \t b\n", plain) == "a b"
    assert normalised("e\u0301", plain) == "\u00e9"
    assert normalised("It's, A b.", plain) == "It's, A b."
    assert normalised("It's, A b.", lenient) == "its a b"


@pytest.fixture(scope="module")
def tokenizer():
    return ByteBPEConfig(vocab_size=280).make(iter(["one two three four\n" * 9]))


def task_of(answers, **how):
    items = tuple(Item(f"i{i}", f"what is {i}? ", (f" {answer}",), 0) for i, answer in enumerate(answers))
    return Task(name="toy", kind="exact_match", items=items, exact_match=ExactMatch(**how))


def test_a_row_says_what_was_generated_and_whether_it_matches(tokenizer):
    model = shaken(tokenizer.vocab_size)

    def rows_of(task):
        prompts = prompts_of(task, num_fewshot=0, seed=0)
        return score_answers(model, tokenizer, task, prompts, batch_size=2)

    how = {"until": ("\n",), "max_new_tokens": 5}
    rows = rows_of(task_of(["x", "y", "z"], **how))
    assert [row["exact_match"] for row in rows] == [0, 0, 0]
    assert [row["answer"] for row in rows] == [" x", " y", " z"]
    ids = [tokenizer.encode(f"what is {i}?")[-12:] for i in range(3)]
    texts = [cut(tokenizer.decode(naive(model, prompt, 5, -1)), ("\n",)) for prompt in ids]
    assert [row["generated"] for row in rows] == texts
    assert [row["exact_match"] for row in rows_of(task_of([texts[0], "y", texts[2]], **how))] == [1, 0, 1]
    long = len(tokenizer.encode("what is 0?"))
    assert [row["truncated"] for row in rows] == [long > SHAPE.context_length - 4] * 3


WORDS = ["one", "two", "three", "four", "five", "six"]


@pytest.fixture(scope="module")
def reader():
    """A tokenizer whose words begin with their space, and a model that goes on from a word with the next."""
    tokenizer = ByteBPEConfig(vocab_size=300).make(iter([" ".join(WORDS * 40)]))
    following = {}
    for word, after in zip(WORDS, WORDS[1:] + WORDS[:1], strict=True):
        ids = tokenizer.encode(f" {word} {after}")
        following |= dict(itertools.pairwise(ids))

    class Nothing:
        def take(self, _rows):
            return self

    class Counts:
        vocab_size = tokenizer.vocab_size
        context_length = SHAPE.context_length
        can = frozenset({"next_token", "streams"})

        def begin(self, _num_rows):
            return Nothing()

        def step(self, ids, lengths, _state):
            last = ids[range(len(ids)), [n - 1 for n in lengths]]
            return np.eye(self.vocab_size)[[following.get(int(token), EOS) for token in last]]

    return tokenizer, Counts()


@pytest.mark.parametrize("until", [(" ",), ("\n",), (" ", "\n")])
@pytest.mark.parametrize(("prompt", "delimiter"), [("say {}", " "), ("say {} ", ""), ("say {}", "\n")])
def test_an_answer_that_is_the_model_s_own_next_word_is_right(reader, until, prompt, delimiter):
    tokenizer, model = reader
    pairs = list(zip(WORDS, WORDS[1:] + WORDS[:1], strict=True))
    items = tuple(
        Item(word, prompt.format(word), (delimiter + after,), 0, delimiter=delimiter) for word, after in pairs
    )
    how = ExactMatch(until=until, max_new_tokens=1 if "\n" in until else 8)
    task = Task(name="toy", kind="exact_match", items=items, exact_match=how)
    rows = score_answers(model, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=4)
    assert [row["exact_match"] for row in rows] == [1] * 6


def test_any_of_the_aliases_is_right_and_a_row_keeps_them(reader):
    tokenizer, model = reader
    items = (
        Item("a", "say one", (" 2",), 0, delimiter=" ", aliases=("zwei", "Two!")),
        Item("b", "say one", (" 2",), 0, delimiter=" "),
    )
    how = ExactMatch(until=(" ",), max_new_tokens=4, ignore_case=True, ignore_punctuation=True)
    task = Task(name="toy", kind="exact_match", items=items, exact_match=how)
    rows = score_answers(model, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=4)
    assert [row["exact_match"] for row in rows] == [1, 0]
    assert rows[0]["aliases"] == ["zwei", "Two!"]
    assert "aliases" not in rows[1]


def test_an_answer_of_more_tokens_than_are_written_is_counted(tokenizer):
    model = shaken(tokenizer.vocab_size)
    answer = "ÄÖ"  # two bytes each, four tokens, and one for the space
    size = len(tokenizer.encode(f"what is 0? {answer}")) - len(tokenizer.encode("what is 0?"))
    assert size == 5
    item = Item("i", "what is 0?", (f" {answer}",), 0, delimiter=" ")
    for most, expected in ((size - 1, True), (size, False)):
        how = ExactMatch(max_new_tokens=most)
        task = Task(name="t", kind="exact_match", items=(item,), exact_match=how)
        (row,) = score_answers(model, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=1)
        assert row["unreachable"] is expected
    item = dataclasses.replace(item, aliases=("x",))
    task = Task(name="t", kind="exact_match", items=(item,), exact_match=ExactMatch(max_new_tokens=size - 1))
    (row,) = score_answers(model, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=1)
    assert row["unreachable"] is False, "an alias fits"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_prompt_that_just_fits_is_read_whole_and_one_token_more_is_cut(tokenizer, extra):
    model = shaken(tokenizer.vocab_size)
    room = SHAPE.context_length + 1 - 5
    text = "z" * (room + extra)
    ids = tokenizer.encode(text)
    assert len(ids) == room + extra
    task = Task(name="t", kind="exact_match", items=(Item("i", text, (" x",), 0, delimiter=" "),),
                exact_match=ExactMatch(until=(), max_new_tokens=5))  # fmt: skip
    (row,) = score_answers(model, tokenizer, task, prompts_of(task, num_fewshot=0, seed=0), batch_size=1)
    assert row["truncated"] is bool(extra)
    assert row["generated"] == tokenizer.decode(naive(model, ids[extra:], 5, -1))


def test_a_context_that_is_shorter_than_the_answer_is_a_sentence(tokenizer):
    task = task_of(["x"], max_new_tokens=17)
    with pytest.raises(DataError, match="task toy generates up to 17 tokens, but the model's context has 16"):
        score_answers(shaken(tokenizer.vocab_size), tokenizer, task, prompts_of(task, num_fewshot=0, seed=0),
                      batch_size=1)  # fmt: skip
