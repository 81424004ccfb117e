"""The prompt engine: splits, worked examples that depend on the item alone, metrics by hand."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.prompts import SHOT_CHARACTERS, encode_choices, evaluate_prompts, prompt_of
from lmexp.evals.python_pairs import Item
from lmexp.tokenizer.config import TokenizerConfig
from lmexp.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    corpus = [f"def f{i}(a, b):\n    return a + b  # {i}\n" for i in range(30)]
    return train_tokenizer(TokenizerConfig(vocab_size=320), iter(corpus))


ITEMS = [
    Item(f"item{i}", f"context {i}\n" * (i % 5 + 1), (f"    one {i}", f"    two {i}"), i % 2)
    for i in range(12)
]


class Prefers:
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


@given(st.text(), st.text(min_size=1))
def test_context_and_choice_are_split_where_the_context_ends(tokenizer, context, choice):
    item = Item("a", context, (choice, choice), 0)
    (pair, _), owners = encode_choices(tokenizer, [context], [item])
    assert owners == [0, 0]
    assert [*pair[0], *pair[1]] == tokenizer.encode(context + choice)
    stripped = context.rstrip()
    assert len(pair[0]) == min(len(tokenizer.encode(stripped)), len(tokenizer.encode(context + choice)))
    if choice.startswith(" ") or stripped != context:
        moved = context[len(stripped) :] + choice
        if tokenizer.encode(stripped) == list(pair[0]):
            assert tokenizer.decode(pair[1]) == moved


def test_metrics_are_the_shares_of_correct_predictions(tokenizer):
    rows, metrics = evaluate_prompts(
        Prefers(tokenizer, "one"), tokenizer, "toy", ITEMS, ITEMS, num_fewshot=0, seed=1
    )
    assert [row["id"] for row in rows] == [item.id for item in ITEMS]
    assert all(row["prediction"] == 0 for row in rows)
    assert [row["acc"] for row in rows] == [1 - item.gold for item in ITEMS]
    assert metrics["acc"] == metrics["acc_norm"] == metrics["acc_bytes"] == 0.5
    assert metrics["acc/stderr"] == pytest.approx(math.sqrt(0.25 / 11))
    assert metrics["chance"] == 0.5
    assert rows[0]["margin"] == pytest.approx(rows[0]["log_likelihoods"][0] - rows[0]["log_likelihoods"][1])
    assert rows[0]["margin"] == -rows[1]["margin"] > 0


def test_normalised_predictions_divide_by_characters_and_bytes(tokenizer):
    item = Item("a", "x\n", ("éé", "abc"), 0)

    class Fixed:
        context_length = None

        def score(self, _):
            return [np.array([-3.4]), np.array([-4.4])]

    (row,), metrics = evaluate_prompts(Fixed(), tokenizer, "toy", [item], [], num_fewshot=0, seed=1)
    assert (row["acc"], row["acc_norm"], row["acc_bytes"]) == (1, 0, 1)  # -1.70 < -1.47, -0.85 > -1.47
    assert "acc/stderr" not in metrics


def test_worked_examples_depend_on_the_item_and_the_seed_alone():
    examples = sorted(ITEMS, key=lambda item: item.id)
    prompt = prompt_of(ITEMS[3], examples, 3, 5)
    others = [item for item in examples if item.id != "item3"]
    shown = [others[i] for i in random.Random("5-item3").sample(range(len(others)), 3)]
    assert prompt == "".join(f"{s.context}{s.choices[s.gold]}\n\n" for s in shown) + ITEMS[3].context
    assert prompt != prompt_of(ITEMS[3], examples, 3, 6)


def test_the_order_of_items_and_examples_changes_no_row(tokenizer):
    def rows_of(items, examples):
        rows, _ = evaluate_prompts(
            Prefers(tokenizer, "one 1"), tokenizer, "toy", items, examples, num_fewshot=2, seed=1
        )
        return {row["id"]: row for row in rows}

    assert rows_of(ITEMS, ITEMS) == rows_of(ITEMS[::-1], ITEMS[::-1])
    subset = rows_of(ITEMS[4:6], ITEMS)
    assert subset == {name: row for name, row in rows_of(ITEMS, ITEMS).items() if name in subset}


def test_a_worked_example_shows_the_end_of_its_context_from_a_line_start():
    long = Item("long", "".join(f"line {i}\n" for i in range(200)), ("right", "wrong"), 0)
    shown = prompt_of(ITEMS[0], [long], 1, 0).removesuffix("\n\n" + ITEMS[0].context)
    assert shown.startswith("line ")
    assert shown.endswith("line 199\nright")
    assert len(shown) <= SHOT_CHARACTERS + len("right")


def test_a_prompt_longer_than_the_context_is_counted(tokenizer):
    scorer = Prefers(tokenizer, "one")
    evaluate_prompts(scorer, tokenizer, "toy", ITEMS, ITEMS, num_fewshot=0, seed=1)
    lengths = [len(context) + len(continuation) for context, continuation in scorer.asked]
    limit = sorted(lengths)[len(lengths) // 2]
    bounded = Prefers(tokenizer, "one", context_length=limit - 1)
    rows, metrics = evaluate_prompts(bounded, tokenizer, "toy", ITEMS, ITEMS, num_fewshot=0, seed=1)
    expected = [max(lengths[2 * i : 2 * i + 2]) > limit for i in range(len(ITEMS))]
    assert [row["truncated"] for row in rows] == expected
    assert 0 < metrics["truncated"] == sum(expected) < len(ITEMS)


def test_more_examples_than_there_are_is_a_sentence(tokenizer):
    with pytest.raises(
        DataError, match="asks for 12 worked examples of toy, but there are 11 to choose from"
    ):
        evaluate_prompts(Prefers(tokenizer, "x"), tokenizer, "toy", ITEMS, ITEMS, num_fewshot=12, seed=1)
    with pytest.raises(DataError, match="toy has no items"):
        evaluate_prompts(Prefers(tokenizer, "x"), tokenizer, "toy", [], ITEMS, num_fewshot=0, seed=1)
