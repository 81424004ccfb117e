"""Task files: what each kind renders, and a sentence for everything that is wrong in one."""

import json
from pathlib import Path

import pytest

from lmexp.errors import DataError
from lmexp.evals.items import ExactMatch, Item
from lmexp.evals.task_files import read_task_file

ROWS = [
    {"question": "What is the sky?", "options": ["blue", "green"], "answer": "blue", "topic": "colours"},
    {"question": "How many legs has an ant?", "options": [4, 6, 8], "answer": 1, "topic": "animals"},
]
BASE = {
    "cloze": {
        "name": "toy",
        "kind": "cloze",
        "data": "toy.jsonl",
        "prompt": "Q: {question}\nA:",
        "choices": "options",
        "gold": "answer",
    },
    "minimal_pairs": {"name": "toy", "kind": "minimal_pairs", "data": "toy.jsonl", "choices": ["{a}", "{b}"]},
    "exact_match": {
        "name": "toy",
        "kind": "exact_match",
        "data": "toy.jsonl",
        "prompt": "Q: {question}\nA:",
        "answer": "{answer}",
    },
}
BASE["multiple_choice"] = {
    **BASE["cloze"],
    "kind": "multiple_choice",
    "prompt": "Q: {question}\n{options}A:",
}


@pytest.fixture
def write(tmp_path):
    def call(keys, rows=ROWS, **files) -> Path:
        for name, lines in {"toy.jsonl": rows, **files}.items():
            (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in lines))
        path = tmp_path / "toy.yaml"
        text = keys if isinstance(keys, str) else "".join(f"{k}: {json.dumps(v)}\n" for k, v in keys.items())
        path.write_text(text)
        return path

    return call


def items_of(path, limit=None):
    return list(read_task_file(path).task(limit=limit, seed=1).items)


def test_a_cloze_item_has_the_texts_of_its_choices(write):
    assert items_of(write(BASE["cloze"])) == [
        Item("toy:1", "Q: What is the sky?\nA:", (" blue", " green"), 0),
        Item("toy:2", "Q: How many legs has an ant?\nA:", (" 4", " 6", " 8"), 1),
    ]


def test_a_multiple_choice_item_shows_its_choices_and_has_their_letters(write):
    assert items_of(write(BASE["multiple_choice"])) == [
        Item("toy:1", "Q: What is the sky?\n A. blue\n B. green\nA:", (" A", " B"), 0),
        Item("toy:2", "Q: How many legs has an ant?\n A. 4\n B. 6\n C. 8\nA:", (" A", " B", " C"), 1),
    ]
    (first, _) = items_of(write({**BASE["multiple_choice"], "option": "({letter}) {choice}; "}))
    assert first.context == "Q: What is the sky?\n(A) blue; (B) green; A:"


def test_a_choice_may_go_on_after_itself_and_be_a_template(write):
    keys = {**BASE["cloze"], "choices": ["{x}", "{y}"], "continuation": "{choice}{rest}", "delimiter": "_"}
    rows = [{"question": "?", "x": "1", "y": "2", "rest": "!", "answer": "2"}]
    assert items_of(write(keys, rows))[0].choices == ("_1!", "_2!")
    assert items_of(write(keys, rows))[0].gold == 1


def test_of_minimal_pairs_the_first_is_right_and_stands_first_in_about_half(write):
    rows = [{"a": f"good {i}", "b": f"bad {i}"} for i in range(200)]
    items = items_of(write(BASE["minimal_pairs"], rows))
    assert all(item.choices[item.gold].startswith("good") and item.context == "" for item in items)
    assert 70 < sum(item.gold for item in items) < 130
    assert items == items_of(write(BASE["minimal_pairs"], rows))


def test_an_exact_match_item_has_its_answer(write):
    keys = {**BASE["exact_match"], "until": [";"], "max_new_tokens": 5, "ignore_case": True}
    task = read_task_file(write(keys)).task(limit=None, seed=0)
    assert task.items[0] == Item("toy:1", "Q: What is the sky?\nA:", (" blue",), 0)
    assert task.exact_match == ExactMatch(until=(";",), max_new_tokens=5, ignore_case=True)


def test_groups_ids_and_texts_between_come_from_the_file(write):
    keys = {
        **BASE["cloze"],
        "group": "topic",
        "id": "question",
        "description": "Answer.\n",
        "separator": "\n",
    }
    task = read_task_file(write(keys)).task(limit=None, seed=0)
    assert [item.group for item in task.items] == ["colours", "animals"]
    assert task.items[0].id == "toy:What is the sky?"
    assert (task.description, task.separator) == ("Answer.\n", "\n")


def test_a_limit_draws_items_and_leaves_all_examples(write):
    rows = [{**ROWS[0], "question": f"{i}?"} for i in range(30)]
    task = read_task_file(write(BASE["cloze"], rows)).task(limit=5, seed=1)
    lines = [int(item.id.split(":")[1]) for item in task.items]
    assert lines == sorted(lines)
    assert len(lines) == 5
    assert len(task.examples) == 30
    assert read_task_file(write(BASE["cloze"], rows)).task(limit=5, seed=2).items != task.items


def test_examples_may_come_from_another_file(write):
    path = write({**BASE["cloze"], "fewshot_data": "few.jsonl"}, **{"few.jsonl": ROWS[:1]})
    task = read_task_file(path).task(limit=None, seed=0)
    assert [example.id for example in task.examples] == ["toy:fewshot:1"]


def test_the_content_is_that_of_the_task_file_and_its_data(write):
    def content(keys, rows):
        return read_task_file(write(keys, rows)).content(lambda path: path.read_text())

    first = content(BASE["cloze"], ROWS)
    assert set(first) == {"task", "data"}
    assert content({**BASE["cloze"], "description": "x"}, ROWS)["task"] != first["task"]
    assert content(BASE["cloze"], ROWS[:1])["data"] != first["data"]


def without(key, kind="cloze"):
    return {k: v for k, v in BASE[kind].items() if k != key}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {**BASE["cloze"], "promt": "x"},
            r"toy.yaml, line 7: 'promt' is not a key of the kind cloze \(did you mean",
        ),
        (
            {**BASE["cloze"], "kind": "close"},
            r"line 2, kind must be one of multiple_choice, .*did you mean 'cloze'",
        ),
        (without("kind"), "kind must be one of"),
        (without("gold"), "has no gold, which the kind cloze needs"),
        (without("answer", "exact_match"), "has no answer"),
        ({**BASE["cloze"], "name": "a/b"}, "line 1, name must be letters, digits and _"),
        ({**BASE["cloze"], "name": 5}, "line 1, name must be text .*was 5"),
        ({**BASE["cloze"], "until": ["x"]}, "'until' is not a key of the kind cloze"),
        ({**BASE["cloze"], "choices": ["{a}"]}, "line 5, choices must be at least two templates"),
        (
            {**BASE["cloze"], "continuation": "{question}"},
            "line 7, continuation must hold {choice}, .*was '{question}'",
        ),
        ({**BASE["cloze"], "choices": 5}, "line 5, choices must be the key of a list"),
        ({**BASE["minimal_pairs"], "choices": ["a", "b", "c"]}, "two templates, the right one first"),
        ({**BASE["minimal_pairs"], "choices": "pair"}, "line 4, choices must be"),
        ({**BASE["multiple_choice"], "prompt": "{question}"}, "line 4, prompt must hold {options}"),
        (
            {**BASE["cloze"], "prompt": "{question.__class__}"},
            "line 4, prompt: {question.__class__} is not a plain",
        ),
        (
            {**BASE["cloze"], "data": "../toy.jsonl"},
            "line 3, data must be a file in the task file's own folder",
        ),
        (
            {**BASE["cloze"], "data": "/etc/passwd"},
            "line 3, data must be a file in the task file's own folder",
        ),
        (
            {**BASE["cloze"], "data": "toi.jsonl"},
            r"line 3, data: there is no file .*did you mean 'toy.jsonl'",
        ),
        ({**BASE["exact_match"], "until": "x"}, "line 6, until must be a list of texts"),
        (
            {**BASE["exact_match"], "max_new_tokens": 0},
            "max_new_tokens must be an integer of at least 1, was 0",
        ),
        ({**BASE["exact_match"], "ignore_case": "no"}, "ignore_case must be true or false"),
        ("name: a\nname: b\n", "line 2: 'name' stands on line 1, too"),
        ("name: [a\n", "toy.yaml, line 2 is not YAML"),
        ("- a\n", "must be keys and values"),
        ("", "must be keys and values"),
        ("a: &x [1]\nb: *x\n", "has an alias"),
        (
            "name: !!python/object/apply:os.system ['true']\n",
            "is not YAML: could not determine a constructor",
        ),
    ],
)
def test_a_wrong_task_file_is_answered_with_one_sentence(write, keys, sentence):
    path = write(keys)
    with pytest.raises(DataError, match=sentence) as error:
        read_task_file(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"qestion": "x"}, r"there is no key 'options'"),
        ({**ROWS[0], "question": None}, "key 'question' must be text or a number, was null"),
        ({**ROWS[0], "options": "blue"}, "key 'options' must be a list of choices"),
        ({**ROWS[0], "options": ["blue", ["x"]]}, "key 'options', choice 1 must be text"),
        ({**ROWS[0], "options": ["blue"]}, "must be at least 2 choices, was 1"),
        ({**ROWS[0], "options": ["blue", "x", "x"]}, "the choices 1 and 2 are equal"),
        (
            {**ROWS[0], "answer": "bleu"},
            r"key 'answer' must be a position .* was 'bleu' \(did you mean 'blue'\?\)",
        ),
        ({**ROWS[0], "answer": 2}, "must be a position from 0 to 1"),
        ({**ROWS[0], "answer": True}, "must be a position from 0 to 1"),
    ],
)
def test_a_wrong_row_is_answered_with_its_line(write, row, sentence):
    path = write(BASE["cloze"], [*ROWS, row])
    with pytest.raises(DataError, match=f"toy.jsonl, line 3.*({sentence})"):
        items_of(path)


@pytest.mark.parametrize("kind", ["cloze", "minimal_pairs"])
def test_a_choice_of_which_nothing_is_scored_is_refused_with_its_line(write, kind):
    rows = [{"question": "?", "options": ["x", ""], "answer": 0, "a": "x", "b": ""}]
    with pytest.raises(DataError, match=r"toy.jsonl, line 1: the choice 1 is empty, .* give it a text, or"):
        items_of(write({**BASE[kind], "delimiter": ""}, rows))
    (item,) = items_of(write({**BASE[kind], "delimiter": " "}, rows))
    assert set(item.choices) == {" x", " "}
    (item,) = items_of(write({**BASE[kind], "delimiter": "", "prompt": "Say:\n"}, rows))
    assert set(item.choices) == {"x", ""}  # the line break at the end of the prompt is scored


def test_an_answer_that_is_compared_may_be_empty(write):
    keys = {**BASE["exact_match"], "answer": "{topic}", "delimiter": ""}
    (item,) = items_of(write(keys, [{**ROWS[0], "topic": ""}]))
    assert item.answer == ""


def test_a_row_without_a_name_of_the_prompt_names_the_nearest(write):
    path = write(BASE["cloze"], [{"qestion": "x", "options": ["a", "b"], "answer": 0}])
    with pytest.raises(DataError, match=r"line 1: there is no key 'question' \(did you mean 'qestion'\?\)"):
        items_of(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"{}\n{\n", "line 2 is not JSON"),
        (b"[1]\n", "line 1 must be a JSON object"),
        (b"\n\n", "has no rows"),
        (b"\xff\n", "line 1 is not UTF-8 at byte 0"),
    ],
)
def test_data_that_are_no_json_lines_are_answered_with_their_line(write, data, sentence):
    path = write({**BASE["exact_match"], "prompt": "x", "answer": "y"})
    (path.parent / "toy.jsonl").write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        items_of(path)


def test_two_rows_of_one_id_are_refused(write):
    with pytest.raises(DataError, match="line 2: the id 'toy:x' is that of line 1, too"):
        items_of(write({**BASE["cloze"], "id": "topic"}, [{**row, "topic": "x"} for row in ROWS]))


def test_a_file_that_is_not_there_names_the_nearest(tmp_path, write):
    write(BASE["cloze"])
    with pytest.raises(DataError, match=r"there is no file .*did you mean 'toy.yaml'"):
        read_task_file(tmp_path / "toi.yaml")
    with pytest.raises(DataError, match="is a directory"):
        read_task_file(tmp_path)


def test_a_number_that_is_a_position_and_the_text_of_another_choice_is_refused(write):
    row = {"question": "1 + 1", "options": [1, 2, 3], "answer": 2}
    with pytest.raises(DataError, match="2 is a position, and also the text of choice 1"):
        items_of(write(BASE["cloze"], [row]))
    (item,) = items_of(write(BASE["cloze"], [{**row, "answer": "2"}]))
    assert item.choices[item.gold] == " 2"


def test_a_kind_that_is_no_text_is_refused(write):
    with pytest.raises(DataError, match="must be one of"):
        items_of(write({**BASE["cloze"], "kind": ["cloze"]}))
