"""The primer's tasks: right answers, groups, held-out parts, and what an ideal observer can do."""

import re
from collections import Counter

import pytest

from lmexp.errors import DataError
from lmexp.evals.config import PromptsConfig
from lmexp.evals.tasks.primer_tasks import EXAMPLES_PER_GROUP, MAX_GROUPS, PRIMER_TASKS, make_primer_items
from lmexp.evals.tasks.shots import Examples
from lmexp.evals.tasks.tasks import TaskMaker
from lmexp.primer import words
from lmexp.primer.lessons import LESSONS
from tests.primer import oracle

TASKS = sorted(PRIMER_TASKS)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", ["test", "shots"])
def test_the_gold_choice_is_what_the_rule_of_the_group_answers(task, part):
    items = make_primer_items(task, part, 200, seed=3)
    assert len({item.id for item in items}) == len(items)
    assert len({(item.group, item.context) for item in items}) == len(items)
    for item in items:
        assert item.answer == " " + oracle.answer(task.removeprefix("primer_"), item.group, item.context)
        assert len(set(item.choices)) == len(item.choices) >= 2
        assert [f" {item.own(i)}" for i in range(len(item.choices))] == list(item.choices), "one delimiter"
    assert {item.gold for item in items} == set(range(max(len(item.choices) for item in items)))


@pytest.mark.parametrize("task", TASKS)
def test_items_and_worked_examples_are_made_of_parts_of_their_own(task):
    for part in ("test", "shots"):
        for item in make_primer_items(task, part, 100, seed=0):
            numbers = tuple(map(int, re.findall(r"\d+", item.context)))
            if numbers:
                assert words.part_of_numbers(numbers) == part
            else:
                pool = set(words.made_up_words(part))
                found = [word.lower() for word in re.findall(r"\w+", item.context)]
                assert len(pool & set(found)) == {"primer_translation": 1}.get(task, 3)


@pytest.mark.parametrize("task", TASKS)
def test_items_are_shared_out_over_rules_that_all_have_worked_examples(task):
    items = make_primer_items(task, "test", 96, seed=1)
    assert len(items) == 96
    sizes = Counter(item.group for item in items)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    names = Counter(group.split()[0] for group in sizes)
    assert len(set(names.values())) == 1
    assert set(names) == {rule.split()[0] for rule in LESSONS[task.removeprefix("primer_")].rules}
    assert len(sizes) <= MAX_GROUPS
    shots = make_primer_items(task, "shots", 1, seed=1)
    assert set(Counter(item.group for item in shots).values()) == {EXAMPLES_PER_GROUP}
    assert {item.group for item in shots} >= set(sizes)
    examples = Examples(shots)
    for item in items:
        drawn = examples.shots(item, 8, seed=1)
        wrong = examples.permuted_shots(item, 8, seed=1)
        assert item.context not in {shot.context for shot in drawn}
        assert all(a.context == b.context and a.answer != b.answer for a, b in zip(drawn, wrong, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_items_are_a_function_of_the_seed_and_the_limit_cuts_them(task):
    first = make_primer_items(task, "test", 50, seed=2)
    assert first == make_primer_items(task, "test", 50, seed=2)
    assert first != make_primer_items(task, "test", 50, seed=4)
    assert len(make_primer_items(task, "test", 2, seed=2)) == 2
    assert len(make_primer_items(task, "test", None, seed=2)) > 500


def test_an_unknown_part_is_a_sentence():
    with pytest.raises(DataError, match="parts 'test' and 'shots', was 'train'"):
        make_primer_items("primer_sort", "train", 3, seed=0)


def test_a_task_is_made_without_a_corpus():
    def no_documents(split):
        raise AssertionError("the corpus must not be read")

    maker = TaskMaker(no_documents, limit=20, seed=0, needs_examples=True)
    [task] = maker.tasks(PromptsConfig(tasks=("primer_operator",)))
    assert (task.name, len(task.items), task.separator) == ("primer_operator", 20, "\n")
    assert {item.group for item in task.items} <= {example.group for example in task.examples}


def test_the_operator_can_be_known_from_eight_examples_and_not_from_none():
    items = make_primer_items("primer_operator", "test", 480, seed=0)
    examples = Examples(make_primer_items("primer_operator", "shots", None, seed=0))
    accuracy = {n: sum(ideal(item, examples, n) for item in items) / len(items) for n in (0, 1, 2, 8)}
    assert accuracy[0] < 0.35
    assert accuracy[0] < accuracy[1] < accuracy[2] < accuracy[8]
    assert accuracy[8] > 0.99


def ideal(item, examples, num_fewshot):
    """Return the chance that a guess among the rules that explain the examples answers `item`."""
    sign = item.group.split()[1]
    rules = [rule for rule in LESSONS["operator"].rules if rule.endswith(f" {sign}")]
    for shot in examples.shots(item, num_fewshot, seed=0):
        rules = [rule for rule in rules if shot.answer == " " + oracle.operator(rule, shot.context)]
    votes = Counter(oracle.operator(rule, item.context) for rule in rules)
    best = [answer for answer, count in votes.items() if count == max(votes.values())]
    return (item.answer.strip() in best) / len(best)
