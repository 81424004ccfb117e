"""The prompt engine: splits, what a prompt is made of, rows by hand, and independence of other items."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.prompts import ROW_CHARACTERS, Prompt, encode_choices, prompts_of, score_choices
from lmexp.evals.tasks.items import Item, Task
from lmexp.scoring.pairs import PairScorer
from lmexp.tokenizer.config import ByteBPEConfig


@pytest.fixture(scope="module")
def tokenizer():
    corpus = [f"def f{i}(a, b):\n    return a + b  # {i}\n" for i in range(30)]
    return ByteBPEConfig(vocab_size=320).make(iter(corpus))


ITEMS = tuple(
    Item(f"item{i}", f"context {i}\n" * (i % 5 + 1), (f"    one {i}", f"    two {i}"), i % 2)
    for i in range(12)
)
TASK = Task(name="toy", items=ITEMS, examples=ITEMS)


class Prefers(PairScorer):
    """Gives each token -1, and choices that hold `text` a bonus."""

    def __init__(self, tokenizer, text, context_length=None):
        self.tokenizer, self.text, self.context_length = tokenizer, text, context_length
        self.asked = []

    def score(self, pairs):
        self.asked += pairs
        scores = []
        for _, continuation in pairs:
            bonus = 50.0 if self.text in self.tokenizer.decode(continuation) else 0.0
            scores.append(np.full(len(continuation), -1.0) + bonus / len(continuation))
        return scores


def rows_of(tokenizer, scorer, task=TASK, num_fewshot=0, seed=1):
    return score_choices(scorer, tokenizer, prompts_of(task, num_fewshot=num_fewshot, seed=seed))


@given(st.text(), st.text(min_size=1))
def test_context_and_choice_are_split_where_the_context_ends(tokenizer, context, choice):
    prompt = Prompt(Item("a", context, (choice, choice), 0), context, ())
    (pair, _), owners = encode_choices(tokenizer, [prompt])
    assert owners == [0, 0]
    assert [*pair[0], *pair[1]] == tokenizer.encode(context + choice)
    stripped = context.rstrip()
    whole = tokenizer.encode(context + choice)
    assert len(pair[0]) == min(len(tokenizer.encode(stripped)), len(whole) - 1), "a choice has a token"
    if choice.startswith(" ") or stripped != context:
        moved = context[len(stripped) :] + choice
        if tokenizer.encode(stripped) == list(pair[0]):
            assert tokenizer.decode(pair[1]) == moved


def test_a_row_says_what_was_asked_and_how_it_was_answered(tokenizer):
    rows = rows_of(tokenizer, Prefers(tokenizer, "one"), num_fewshot=1)
    assert [row["id"] for row in rows] == [item.id for item in ITEMS]
    assert all(row["prediction"] == 0 for row in rows)
    assert [row["acc"] for row in rows] == [1 - item.gold for item in ITEMS]
    assert rows[3]["choices"] == ["    one 3", "    two 3"]
    assert rows[3]["prompt"].endswith("\n\n" + ITEMS[3].context)
    (shot,) = rows[3]["shots"]
    assert rows[3]["prompt"].startswith(f"context {shot.removeprefix('item')}\n")
    assert rows[0]["margin"] == pytest.approx(rows[0]["log_likelihoods"][0] - rows[0]["log_likelihoods"][1])
    assert rows[0]["margin"] == -rows[1]["margin"] > 0


def test_a_row_keeps_the_end_of_a_long_prompt(tokenizer):
    task = Task(name="toy", items=(Item("a", "x" * 9000 + "end", ("b", "c"), 0),))
    (row,) = rows_of(tokenizer, Prefers(tokenizer, "b"), task)
    assert row["prompt"] == "x" * (ROW_CHARACTERS - 3) + "end"


def test_normalised_predictions_divide_by_characters_and_bytes(tokenizer):
    item = Item("a", "x\n", ("éé", "abc"), 0)

    class Fixed(PairScorer):
        context_length = None

        def score(self, _):
            return [np.array([-3.4]), np.array([-4.4])]

    (row,) = rows_of(tokenizer, Fixed(), Task(name="toy", items=(item,)))
    assert (row["acc"], row["acc_norm"], row["acc_bytes"]) == (1, 0, 1)  # -1.70 < -1.47, -0.85 > -1.47


def test_a_prompt_is_the_description_the_examples_and_the_context():
    task = dataclasses.replace(TASK, description="Say one or two.\n", separator="\n##\n")
    prompt = prompts_of(task, num_fewshot=3, seed=5)[3]
    others = [item for item in sorted(ITEMS, key=lambda item: item.id) if item.id != "item3"]
    shown = [others[i] for i in random.Random("5-item3").sample(range(len(others)), 3)]
    expected = "".join(f"{s.context}{s.choices[s.gold]}\n##\n" for s in shown)
    assert prompt.text == f"Say one or two.\n{expected}{ITEMS[3].context}"
    assert prompt.shots == tuple(s.id for s in shown)
    assert prompt.text != prompts_of(task, num_fewshot=3, seed=6)[3].text


def test_zero_shots_need_no_examples_and_keep_the_description():
    task = dataclasses.replace(TASK, examples=(), description="Say.\n")
    assert [p.text for p in prompts_of(task, num_fewshot=0, seed=5)] == [f"Say.\n{i.context}" for i in ITEMS]


def test_the_order_of_items_and_examples_changes_no_row(tokenizer):
    def rows(items, examples):
        task = Task(name="toy", items=tuple(items), examples=tuple(examples))
        scored = rows_of(tokenizer, Prefers(tokenizer, "one 1"), task, num_fewshot=2)
        return {row["id"]: row for row in scored}

    assert rows(ITEMS, ITEMS) == rows(ITEMS[::-1], ITEMS[::-1])
    subset = rows(ITEMS[4:6], ITEMS)
    assert subset == {name: row for name, row in rows(ITEMS, ITEMS).items() if name in subset}


def test_a_worked_example_shows_the_end_of_its_context_from_a_line_start():
    long = Item("long", "".join(f"line {i}\n" for i in range(200)), ("right", "wrong"), 0)
    task = Task(name="toy", items=ITEMS[:1], examples=(long,), shot_characters=300)
    shown = prompts_of(task, num_fewshot=1, seed=0)[0].text.removesuffix("\n\n" + ITEMS[0].context)
    assert shown.startswith("line ")
    assert shown.endswith("line 199\nright")
    assert len(shown) <= 300 + len("right")
    whole = prompts_of(dataclasses.replace(task, shot_characters=None), num_fewshot=1, seed=0)[0].text
    assert whole.startswith(long.context)


def test_permuted_labels_show_the_same_examples_with_other_answers():
    true = prompts_of(TASK, num_fewshot=4, seed=1)
    permuted = prompts_of(TASK, num_fewshot=4, seed=1, permuted=True)
    for a, b in zip(true, permuted, strict=True):
        assert a.shots == b.shots
        assert a.text != b.text
        assert sorted(a.text.split()) == sorted(b.text.split())


def test_a_prompt_longer_than_the_context_is_counted(tokenizer):
    scorer = Prefers(tokenizer, "one")
    rows_of(tokenizer, scorer)
    lengths = [len(context) + len(continuation) for context, continuation in scorer.asked]
    limit = sorted(lengths)[len(lengths) // 2]
    rows = rows_of(tokenizer, Prefers(tokenizer, "one", context_length=limit - 1))
    expected = [max(lengths[2 * i : 2 * i + 2]) > limit for i in range(len(ITEMS))]
    assert [row["truncated"] for row in rows] == expected
    assert 0 < sum(expected) < len(ITEMS)


def test_more_examples_than_there_are_is_a_sentence():
    with pytest.raises(
        DataError, match=r"task toy: prompts.num_fewshot asks for 12 .* there are 11 to choose from; lower"
    ):
        prompts_of(TASK, num_fewshot=12, seed=1)


def test_acc_norm_counts_a_choice_s_own_white_space_and_not_the_delimiter(tokenizer):
    class Sums(PairScorer):
        context_length = None

        def score(self, pairs):
            return [np.array([value]) for value in (-6.05, -7.0)][: len(pairs)]

    def outcome(*choices, delimiter=" "):
        item = Item("a", "q", choices, 1, delimiter=delimiter)
        (row,) = score_choices(Sums(), tokenizer, [Prompt(item, item.context, ())])
        return row["acc"], row["acc_norm"], row["acc_bytes"]

    assert outcome(" abcdef", " abcdefg") == (0, 1, 1)  # 6.05 / 6 > 7 / 7, but 6.05 / 7 < 7 / 8
    assert outcome("  ab", " abc") == (0, 0, 0)  # 6.05 / 3 < 7 / 3, but 6.05 / 2 > 7 / 3
    assert outcome("abcd", "ü\u4e2da", delimiter="") == (
        0,
        0,
        1,
    )  # 4 and 3 characters, 4 and 6 bytes
    assert outcome(" ", " abcdef") == (0, 1, 1)  # an empty text counts as one character


def test_what_is_read_of_a_choice_is_not_scored(tokenizer):
    item = Item("a", "He said ", ("that he fell", "that Bob Ü fell"), 0, delimiter=" ", unscored=(7, 10))
    pairs, owners = encode_choices(tokenizer, [Prompt(item, item.context, ())])
    assert owners == [0, 0]
    texts = [(tokenizer.decode(context), tokenizer.decode(scored)) for context, scored in pairs]
    assert texts == [("He said that he", " fell"), ("He said that Bob Ü", " fell")]


def test_a_choice_that_merges_into_the_context_s_token_is_scored_with_it(tokenizer):
    """The last token is the choice's: without one it would cost nothing and always win."""
    words = (tokenizer.decode([i]) for i in range(tokenizer.vocab_size))
    word = max((w for w in words if w.isalpha() and len(tokenizer.encode(w)) == 1), key=len)
    context, choice = word[:-1], word[-1]
    assert tokenizer.encode(context), "so that the context alone has as many tokens as both"
    pairs, _ = encode_choices(tokenizer, [Prompt(Item("a", context, (choice, "#"), 0), context, ())])
    assert pairs[0] == ([], tokenizer.encode(word))
    assert pairs[1] == (tokenizer.encode(context), tokenizer.encode("#"))


def test_of_equal_choices_the_first_is_taken_whatever_rounding_says(tokenizer):
    class Rounds(PairScorer):
        context_length = None

        def score(self, pairs):
            return [np.array([-5.0 + 1e-9 * i]) for i in range(len(pairs))]

    item = Item("a", "q", (" x", " y", " x", " y"), 0, delimiter=" ")
    (row,) = score_choices(Rounds(), tokenizer, [Prompt(item, "q", ())])
    assert row["log_likelihoods"] == [-5.0, -5.0 + 1e-9, -5.0, -5.0 + 1e-9]
    assert row["prediction"] == 1
