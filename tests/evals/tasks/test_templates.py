"""Templates: braces as in str.format for plain names, and nothing beyond them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.tasks.templates import Template, lookup

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(TEXTS, TEXTS, TEXTS)
def test_plain_names_render_as_str_format_renders_them(first, a, b):
    literal = first.replace("{", "{{").replace("}", "}}")
    text = f"{literal}{{a}} and {{b}}{{{{a}}}}"
    assert Template(text, "x").render({"a": a, "b": b, "c": 1}, "row") == text.format(a=a, b=b)
    assert Template(text, "x").names == {"a", "b"}


@pytest.mark.parametrize(
    "text",
    [
        "{row.__class__}",
        "{row[0]}",
        "{a!r}",
        "{a:>10}",
        "{a:{b}}",
        "{}",
        "{0}",
        "{ a }",
        "{a..b}",
        "{a.__class__}",
        "{__import__('os')}",
    ],
)
def test_anything_but_a_plain_name_is_refused(text):
    with pytest.raises(DataError, match=r"t.yaml, line 3, prompt: .* is not a plain name|braces"):
        Template(text, "t.yaml, line 3, prompt")


def test_spaces_within_braces_are_answered_with_the_name():
    with pytest.raises(DataError, match=r"\{ query \} is not a plain name; .*, as in \{query\}, and"):
        Template("{ query }", "prompt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b", "plain"),
        ("c.d", "1"),
        ("c.e.1", "y"),
        ("Best Answer", "z"),
        ("frage-ä", "ü"),
        ("c.f.0.g", "h"),
    ],
)
def test_a_name_may_be_a_path_of_keys(name, expected):
    row = {"a.b": "plain", "a": {"b": "nested"}, "c": {"d": 1, "e": ["x", "y"], "f": [{"g": "h"}]}}
    row |= {"Best Answer": "z", "frage-ä": "ü"}
    assert Template(f"{{{name}}}", "x").render(row, "row") == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("c.x", r"no key 'c.x' \(did you mean 'xy'\?\); its keys are d, e, xy"),
        ("c.e.2", "no key 'c.e.2': the list has 2 entries"),
        ("c.e." + "9" * 5000, "9': the list has 2 entries"),
        ("c.d.x", "no key 'c.d.x': 'x' is asked of a number"),
        ("c.e.x", "no key 'c.e.x': 'x' is asked of a list"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(name, sentence):
    row = {"c": {"d": 1, "e": ["x", "y"], "xy": 2}}
    with pytest.raises(DataError, match=sentence):
        Template(f"{{{name}}}", "x").render(row, "row 3")


@pytest.mark.parametrize("text", ["{a", "a}", "{a}}"])
def test_a_lone_brace_is_a_sentence(text):
    with pytest.raises(DataError, match=r"prompt: .* for braces"):
        Template(text, "prompt")


def test_a_number_is_written_as_python_writes_it():
    assert Template("{a} {b}", "x").render({"a": 3, "b": 0.5}, "row") == "3 0.5"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        DataError, match=r"^row 3: there is no key 'qestion' \(did you mean 'question'\?\); its"
    ):
        Template("{qestion}", "x").render({"question": "a", "answer": "b"}, "row 3")


def test_the_part_of_a_path_that_is_missing_is_named_and_a_plain_name_is_not_named_twice():
    with pytest.raises(DataError, match=r"^row: there is no key 'c'; its keys are a, b\.$"):
        lookup({"a": 1, "b": 2}, "c", "row")
    with pytest.raises(
        DataError, match=r"^row: there is no key 'a\.c'; its keys are b \('c' is not among them\)\.$"
    ):
        lookup({"a": {"b": 1}}, "a.c", "row")


def test_a_text_of_words_of_which_one_is_a_key_is_constant_unless_only_a_whole_text_counts():
    text = Template("the question is", "x")
    with pytest.raises(DataError, match=r"the same text for every row; write \{question\} where"):
        text.refuse_constant(["question", "answer"])
    text.refuse_constant(["question", "answer"], whole=True)


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "null"), ([1], "a list"), ({}, "an object"), (True, "true or false")]
)
def test_what_is_neither_text_nor_number_is_a_sentence(value, kind):
    with pytest.raises(DataError, match=f"row 3, key 'a' must be text or a number, was {kind}"):
        Template("{a}", "x").render({"a": value}, "row 3")


def test_half_a_surrogate_pair_is_no_text():
    with pytest.raises(DataError, match="surrogate pair at character 1"):
        Template("{a}", "x").render({"a": "x\ud800"}, "row 3")
