"""Tasks by name: the embedded ones are whole, and the user's own stand beside them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from lmexp.core.graph.compose import compose
from lmexp.core.graph.plan import make_plan
from lmexp.core.store.store import Store
from lmexp.core.values.config import replace
from lmexp.errors import DataError
from lmexp.evals.config import PYTHON_TASKS, TASKS, PromptsConfig
from lmexp.evals.tasks.task_files import read_task_file
from lmexp.evals.tasks.tasks import EMBEDDED, TaskMaker, content_hashes

OWN = 'name: {name}\nkind: cloze\ndata: own.jsonl\nprompt: "{{q}}"\nchoices: c\ngold: g\n'


@pytest.fixture
def own(tmp_path):
    def call(name="own") -> str:
        rows = [{"q": f"{i}?", "c": ["a", "b"], "g": i % 2} for i in range(8)]
        (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / f"{name}.yaml").write_text(OWN.format(name=name))
        return str(tmp_path / f"{name}.yaml")

    return call


def made(config, documents=()):
    maker = TaskMaker(lambda _split: documents, limit=config.limit, seed=config.seed, needs_examples=True)
    return list(maker.tasks(config))


def test_every_embedded_task_file_has_a_name_of_the_list():
    assert {path.stem for path in EMBEDDED.glob("*.yaml")} <= set(TASKS) - set(PYTHON_TASKS)
    for path in EMBEDDED.glob("*.yaml"):
        assert read_task_file(path).name == path.stem
        assert read_task_file(path).licence


def test_in_sentence_choice_every_word_is_right_as_often_as_wrong():
    (task,) = made(PromptsConfig(tasks=("sentence_choice",), limit=None))
    assert len(task.items) >= 60
    rows = [json.loads(line) for line in (EMBEDDED / "sentence_choice.jsonl").read_text().splitlines()]
    right = Counter(row["gold"] for row in rows)
    assert right == Counter(choice for row in rows for choice in row["choices"] if choice != row["gold"])
    assert set(right.values()) == {1}
    assert sum(item.gold for item in task.items) == len(task.items) / 2
    sentences = [item.context + item.answer for item in task.items]
    assert all(sentence.endswith((".", "?")) and "  " not in sentence for sentence in sentences)
    assert len(set(sentences)) == len(sentences)


def test_own_tasks_come_after_the_embedded_ones(own):
    config = PromptsConfig(tasks=("python_operator", "sentence_choice"), task_files=(own(),), limit=3)
    tasks = made(config)
    assert [task.name for task in tasks] == ["python_operator", "sentence_choice", "own"]
    assert [len(task.items) for task in tasks] == [0, 3, 3]


def test_own_tasks_alone_read_no_corpus(own):
    def refuse(_split):
        raise AssertionError

    config = PromptsConfig(tasks=(), task_files=(own(),))
    (task,) = TaskMaker(refuse, limit=None, seed=0, needs_examples=True).tasks(config)
    assert len(task.items) == len(task.examples) == 8


def test_a_name_that_is_taken_is_refused(own, tmp_path):
    with pytest.raises(DataError, match="names its task 'python_operator', as an embedded task does; choose"):
        made(PromptsConfig(tasks=(), task_files=(own("python_operator"),)))
    other = tmp_path / "other.yaml"
    other.write_text(Path(own()).read_text())
    with pytest.raises(DataError, match=r"other.yaml names its task 'own', as .*own.yaml does"):
        made(PromptsConfig(tasks=(), task_files=(own(), str(other))))


def test_a_changed_row_or_task_file_changes_the_content(own, tmp_path):
    config = PromptsConfig(tasks=("python_operator",), task_files=(own(),))
    assert content_hashes(PromptsConfig(), str) == {}
    read = lambda path: path.read_text()  # noqa: E731
    before = content_hashes(config, read)
    assert set(before) == {"own:task", "own:data"}
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write('{"q": "new?", "c": ["a", "b"], "g": 0}\n')
    assert content_hashes(config, read)["own:data"] != before["own:data"]
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write('{"q": "new?"}\n')
    with pytest.raises(DataError, match="line 10: there is no key 'c'"):
        content_hashes(config, read)


def test_too_few_rows_for_the_shots_are_found_before_anything_runs(own, tmp_path):
    config = PromptsConfig(tasks=(), task_files=(own(),), num_fewshot=(0, 7))
    assert content_hashes(config, str)
    with pytest.raises(
        DataError, match=r"own.yaml: .* asks for 8 worked examples, but an item has 7 to choose"
    ):
        content_hashes(replace(config, num_fewshot=(8,)), str)
    with (tmp_path / "own.yaml").open("a") as file:
        file.write("group: g\n")
    with pytest.raises(DataError, match="an item of the group '0' has 3 to choose from"):
        content_hashes(config, str)
    with (tmp_path / "own.yaml").open("a") as file:
        file.write("fewshot_data: own.jsonl\n")
    with pytest.raises(DataError, match="has 3 to choose from"):  # the same texts are no examples
        content_hashes(replace(config, num_fewshot=(4,)), str)
    assert content_hashes(replace(config, num_fewshot=(3,)), str)


def test_answers_that_cannot_be_permuted_are_found_before_anything_runs(tmp_path):
    answers = {"yes.jsonl": ["yes"] * 4, "both.jsonl": ["yes", "no"] * 2}
    for name, texts in answers.items():
        rows = [{"q": i, "a": text, "of": text} for i, text in enumerate(texts)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = tmp_path / "own.yaml"

    def content(data, num_fewshot, permute_labels=True, group=""):
        task.write_text(
            f'name: own\nkind: exact_match\ndata: {data}\nprompt: "{{q}}"\nanswer: "{{a}}"\n{group}'
        )
        files = {"tasks": (), "task_files": (str(task),)}
        config = PromptsConfig(**files, num_fewshot=num_fewshot, permute_labels=permute_labels)
        return content_hashes(config, str)

    sentence = r"own.yaml: prompts.permute_labels finds no wrong answer for .* own:\d: all .* ' yes'; set "
    with pytest.raises(DataError, match=sentence):
        content("yes.jsonl", (0, 1))
    with pytest.raises(DataError, match=sentence):
        content("both.jsonl", (1,), group="group: of\n")
    assert content("yes.jsonl", (0,))
    assert content("yes.jsonl", (1,), permute_labels=False)
    assert content("both.jsonl", (1,))


def test_more_shots_than_a_rule_of_the_primer_has_are_found_before_anything_runs():
    config = PromptsConfig(tasks=("primer_sort",), num_fewshot=(0, 32))
    with pytest.raises(DataError, match="asks for 32 worked examples, but primer_sort has 24"):
        content_hashes(config, str)
    content_hashes(PromptsConfig(tasks=("primer_sort",), num_fewshot=(0, 24)), str)
    content_hashes(PromptsConfig(tasks=("sentence_choice",), num_fewshot=(32,)), str)


def test_a_changed_row_runs_the_prompts_again_and_nothing_else(own, tmp_path):
    (tmp_path / "text.txt").write_text("some text\n")
    words = ["corpus=local", f"corpus.files=[{tmp_path}/text.txt]", f"prompts.task_files=[{own()}]"]

    def fingerprints():
        handles = compose(["+experiment=tiny", *words]).handles
        return {s.name: s.fingerprint for s in make_plan(handles, Store(tmp_path / "store")).stages}

    before = fingerprints()
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write('{"q": "new?", "c": ["a", "b"], "g": 0}\n')
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == {"prompts"}
