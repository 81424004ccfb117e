"""Task files: what each kind renders, and a sentence for everything that is wrong in one."""

import json
from pathlib import Path

import pytest

from lmexp.errors import DataError
from lmexp.evals.tasks.items import ExactMatch, Item
from lmexp.evals.tasks.task_files import read_task_file

ROWS = [
    {"question": "What is the sky?", "options": ["blue", "green"], "answer": "blue", "topic": "colours"},
    {"question": "How many legs has an ant?", "options": [4, 6, 8], "answer": 6, "topic": "animals"},
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
        Item("toy:1", "Q: What is the sky?\nA:", (" blue", " green"), 0, delimiter=" "),
        Item("toy:2", "Q: How many legs has an ant?\nA:", (" 4", " 6", " 8"), 1, delimiter=" "),
    ]


def test_a_multiple_choice_item_shows_its_choices_and_has_their_letters(write):
    assert items_of(write(BASE["multiple_choice"])) == [
        Item("toy:1", "Q: What is the sky?\n A. blue\n B. green\nA:", (" A", " B"), 0, delimiter=" "),
        Item(
            *("toy:2", "Q: How many legs has an ant?\n A. 4\n B. 6\n C. 8\nA:", (" A", " B", " C"), 1),
            delimiter=" ",
        ),
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
    assert task.items[0] == Item("toy:1", "Q: What is the sky?\nA:", (" blue",), 0, delimiter=" ")
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
        ({**BASE["cloze"], "gold_data": "toy.jsonl"}, "has gold and gold_data; keep one"),
        (
            {**BASE["cloze"], "gold_is": "index"},
            "line 7, gold_is must be one of position, number, letter, text",
        ),
        (
            {**BASE["cloze"], "equal_choices": "alow"},
            r"must be one of allow, .* was 'alow' .did you mean 'al",
        ),
        ({**BASE["cloze"], "on_bad_row": "skip"}, "line 7, on_bad_row must be one of fail, drop, was 'skip'"),
        ({**BASE["cloze"], "where": ["x"]}, "line 7, where must be keys of a row with the value"),
        (
            {**BASE["multiple_choice"], "option": "{choice}"},
            "line 7, option must hold {letter} and {choice}, or else the letters mean nothing",
        ),
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
            {**BASE["cloze"], "data": "toy\0.jsonl"},
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
        (
            {**ROWS[0], "options": ["blue", "x", "blue"]},
            "the choices 0 and 2 are equal .* the right one; `eq",
        ),
        (
            {**ROWS[0], "answer": "bleu"},
            r"key 'answer' must be the text of a choice as in 2 of 3 rows, was 'bleu' .did you mean 'blue'.",
        ),
        (
            {**ROWS[0], "answer": 2},
            "must be the text of a choice .* was 2, which is a number from 1 to 2; one",
        ),
        ({**ROWS[0], "answer": True}, "must be the text .* was True; `gold_is: position` takes false for"),
        ({**ROWS[0], "answer": None}, "must be the text of a choice as in 2 of 3 rows, was None"),
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


def test_a_kind_that_is_no_text_is_refused(write):
    with pytest.raises(DataError, match="must be one of"):
        items_of(write({**BASE["cloze"], "kind": ["cloze"]}))


def refused(path) -> str:
    with pytest.raises(DataError) as error:
        items_of(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"prompt": "question"},
            "line 4, prompt is 'question', the same text for every row; write {question}",
        ),
        ({"prompt": "Q: question\nA:"}, "the same text for every row; write {question} where"),
        ({"prompt": "qestion"}, "write a key in braces (did you mean 'question'?)"),
        ({"prompt": "<question>"}, "write {question} where"),
        (
            {"prompt": "{{question}}"},
            "line 4, prompt shows {question} as it is, for every row: doubled braces",
        ),
        ({"prompt": "{topic}: {{ question }}"}, "prompt shows {question} as it is"),
        (
            {"prompt": "{question}", "description": "On {topic}."},
            "description shows {topic} as it is, for eve",
        ),
        ({"prompt": "{question}", "delimiter": "{topic}"}, "delimiter shows {topic} as it is"),
        ({"prompt": "{question}", "choices": ["blue", "topic"]}, "choices[1] is 'topic', the same text for"),
    ],
)
def test_a_text_that_speaks_of_a_key_without_asking_for_it_is_refused(write, keys, sentence):
    assert sentence in refused(write({**BASE["cloze"], **keys}))


def test_an_answer_that_is_the_name_of_its_key_is_refused(write):
    sentence = refused(write({**BASE["exact_match"], "answer": "topic"}))
    assert "answer is 'topic', the same text for every row; write {topic} where the row's own" in sentence


def test_a_constant_that_speaks_of_no_key_stays(write):
    (item, _) = items_of(write({**BASE["cloze"], "prompt": "The sky is", "choices": "options"}))
    assert item.context == "The sky is"
    keys = {**BASE["cloze"], "choices": ["no answer", "an answer"], "prompt": "{question}"}
    assert items_of(write(keys, [{"question": "?", "answer": "an answer"}]))[0].gold == 1


def test_two_equal_wrong_choices_are_allowed_and_counted_dropped_or_refused(write):
    rows = [*ROWS, {**ROWS[0], "options": ["x", "blue", "x"]}]

    def made(policy):
        return read_task_file(write({**BASE["cloze"], **policy}, rows)).task(limit=None, seed=0)

    assert (len(made({}).items), made({}).equal_choices, made({}).dropped) == (3, 1, {})
    assert made({}) == made({"equal_choices": "allow"})
    dropping = made({"equal_choices": "drop"})
    assert (len(dropping.items), dropping.equal_choices, dropping.dropped) == (2, 0, {"equal choices": 1})
    with pytest.raises(
        DataError, match=r"line 3: the choices 0 and 2 are equal .'x'., both are wrong; the tas"
    ):
        made({"equal_choices": "refuse", "on_bad_row": "drop"})


@pytest.mark.parametrize("policy", [{"equal_choices": "drop"}, {"on_bad_row": "drop"}])
def test_a_wrong_choice_that_equals_the_right_one_is_refused_or_dropped_and_counted(write, policy):
    rows = [*ROWS, {**ROWS[0], "options": ["x", "blue", "blue"]}]
    sentence = refused(write(BASE["cloze"], rows))
    assert (
        "line 3: the choices 1 and 2 are equal ('blue'), one of them is the right one; `equal_cho" in sentence
    )
    task = read_task_file(write({**BASE["cloze"], **policy}, rows)).task(limit=None, seed=0)
    assert (len(task.items), task.dropped) == (2, {"equal choices": 1})


def test_equal_minimal_pairs_are_dropped_and_counted(write):
    rows = [{"a": "x", "b": "y"}, {"a": "x", "b": "x"}]
    assert "one of them is the right one" in refused(write(BASE["minimal_pairs"], rows))
    path = write({**BASE["minimal_pairs"], "equal_choices": "drop"}, rows)
    assert read_task_file(path).task(limit=None, seed=0).dropped == {"equal choices": 1}


def test_bad_rows_are_dropped_by_their_reason_or_named_with_the_remedy(write):
    rows = [
        *ROWS,
        {**ROWS[0], "question": None},
        {**ROWS[0], "answer": "purple"},
        {**ROWS[0], "options": ["blue", "blue"]},
        {"question": "no more"},
    ]
    path = write(BASE["cloze"], [*ROWS, rows[2]])
    remedy = "`on_bad_row: drop` in the task file leaves such rows out and counts them."
    assert refused(path).endswith(remedy)
    twice = {**ROWS[0], "options": ["on_bad_row"] * 2, "answer": "on_bad_row"}
    assert refused(write(BASE["cloze"], [*ROWS, twice])).endswith(remedy)  # whatever the row holds
    path = write({**BASE["cloze"], "on_bad_row": "drop"}, rows)
    with (path.parent / "toy.jsonl").open("a") as file:
        file.write("{half\n[1]\n")
    task = read_task_file(path).task(limit=None, seed=0)
    assert [item.id for item in task.items] == ["toy:1", "toy:2"]
    assert task.dropped == {
        "not a row": 2,
        "no right choice": 1,
        "nothing usable under a key": 2,
        "equal choices": 1,
    }
    assert sum(task.dropped.values()) == len(rows) + 2 - len(ROWS)


def test_a_file_of_bad_rows_alone_says_so(write):
    path = write({**BASE["cloze"], "on_bad_row": "drop"}, [{"question": 1}] * 3)
    assert "has no rows that can be asked: 3 with nothing usable under a key" in refused(path)


@pytest.mark.parametrize(("answer", "until"), [("a\nb", ["\n"]), ("New York", ["; ", " "]), ("x.y", ["."])])
def test_an_answer_that_until_ends_can_never_be_right_and_is_refused_or_dropped(write, answer, until):
    keys = {**BASE["exact_match"], "until": until}
    rows = [*ROWS, {**ROWS[0], "answer": answer}]
    assert f"line 3: the answer {answer!r} holds" in refused(write(keys, rows))
    task = read_task_file(write({**keys, "on_bad_row": "drop"}, rows)).task(limit=None, seed=0)
    assert (len(task.items), task.dropped) == (2, {"an answer that `until` ends": 1})


def test_white_space_around_an_answer_is_not_within_it(write):
    rows = [{**ROWS[0], "answer": " blue \n"}]
    assert items_of(write({**BASE["exact_match"], "until": [" ", "\n"]}, rows))[0].answer == "  blue \n"


def test_an_alias_that_can_be_generated_keeps_its_item(write):
    keys = {**BASE["exact_match"], "aliases": "also.text", "until": [" "]}
    rows = [{**ROWS[0], "answer": "New York", "also": {"text": ["NYC", "New York"]}}]
    (item,) = items_of(write(keys, rows))
    assert item.aliases == ("NYC", "New York")


def test_nested_columns_and_lists_of_objects_are_keys(write):
    rows = [
        {
            "q": {"stem": "Wo?", "choices": [{"label": "A", "text": "dä"}, {"label": "B", "text": "dort"}]},
            "answerKey": "B",
            "Best Answer": {"text": ["x", "y"]},
        }
    ]
    keys = {
        **BASE["cloze"],
        "prompt": "{q.stem} {Best Answer.text.1}:",
        "choices": "q.choices.text",
        "gold": "answerKey",
    }
    (item,) = items_of(write(keys, rows))
    assert item == Item("toy:1", "Wo? y:", (" dä", " dort"), 1, delimiter=" ")
    sentence = refused(write({**keys, "choices": "q.choices.txt"}, rows))
    assert (
        "line 1: there is no key 'q.choices.txt' (did you mean 'text'?); its keys are label, text" in sentence
    )


def test_the_right_choices_may_stand_in_a_file_of_their_own(write):
    keys = {**without("gold"), "choices": ["{a}", "{b}"], "prompt": "{q}", "gold_data": "toy.lst"}
    path = write(keys, [{"q": "?", "a": "x", "b": "y"}] * 3)
    labels = path.parent / "toy.lst"
    labels.write_text("0\n1\n0\n")
    assert [item.gold for item in items_of(path)] == [0, 1, 0]
    assert set(read_task_file(path).content(str)) == {"task", "data", "gold_data"}
    labels.write_text("0\n1\n")
    assert "has fewer lines than" in refused(path)
    labels.write_text("0\n1\n0\n1\n")
    assert "has more lines than" in refused(path)


def test_where_takes_the_rows_that_have_a_value(write):
    rows = [{**ROWS[0], "idx": i, "of": {"part": "ab"[i % 2]}} for i in range(6)]
    path = write({**BASE["cloze"], "where": {"of.part": "b"}}, rows)
    task = read_task_file(path).task(limit=None, seed=0)
    assert [item.id for item in task.items] == ["toy:2", "toy:4", "toy:6"]
    assert task.dropped == {}
    assert "has no rows of which `where` is true" in refused(
        write({**BASE["cloze"], "where": {"idx": 9}}, rows)
    )


def test_the_last_word_of_a_text_may_be_the_answer(write):
    keys = {"name": "toy", "kind": "exact_match", "data": "toy.jsonl", "last_word": "text"}
    path = write({**keys, "prompt": "{before}", "answer": "{last_word}"}, [{"text": "A b, c d\n"}])
    assert items_of(path) == [Item("toy:1", "A b, c", (" d",), 0, delimiter=" ")]


def test_what_follows_the_choices_may_be_scored_in_their_place(write):
    keys = {**BASE["cloze"], "prompt": "", "choices": "options", "scored": "{rest}"}
    rows = [
        {"options": ["He ran so he", "He ran so Bob Ü"], "rest": "fell.", "answer": 1},
        ROWS[0] | {"rest": "x"},
    ]
    rows[1]["answer"] = 0
    (item, _) = items_of(write(keys, rows))
    assert item.choices == ("He ran so he fell.", "He ran so Bob Ü fell.")
    assert (item.read, item.own(1), item.gold) == ((12, 15), "fell.", 1)


def test_one_rule_holds_for_the_rows_and_for_the_examples_of_another_file(write):
    keys = {**BASE["cloze"], "fewshot_data": "few.jsonl"}
    rows = [{**ROWS[0], "answer": 1}]  # of two choices, a position or a number
    task = read_task_file(write(keys, rows, **{"few.jsonl": [{**ROWS[0], "answer": 0}]})).task(
        limit=None, seed=0
    )
    assert (task.items[0].answer, task.examples[0].answer) == (" green", " blue")
    task = read_task_file(write(keys, rows, **{"few.jsonl": [{**ROWS[0], "answer": 2}]})).task(
        limit=None, seed=0
    )
    assert (task.items[0].answer, task.examples[0].answer) == (" blue", " green")


def test_bad_rows_of_worked_examples_are_counted_by_their_reason_too(write):
    keys = {**BASE["cloze"], "fewshot_data": "few.jsonl", "on_bad_row": "drop"}
    few = [*ROWS, {"question": "no more"}, {**ROWS[0], "answer": "purple"}]
    task = read_task_file(write(keys, [*ROWS, {"question": 1}], **{"few.jsonl": few})).task(
        limit=None, seed=0
    )
    assert (len(task.items), len(task.examples)) == (2, 2)
    assert task.dropped == {
        "no right choice, in fewshot_data": 1,
        "nothing usable under a key": 1,
        "nothing usable under a key, in fewshot_data": 1,
    }
    path = write(keys, ROWS, **{"few.jsonl": [{"question": 1}, [1]]})
    assert refused(path).endswith(
        "few.jsonl has no rows that can be asked: 1 with nothing usable under a key; 1 with not a row; write "
        "one JSON object a line."
    )
