"""Which choice is right: one rule for a whole file, the same for every spelling, and never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.errors import DataError
from lmexp.evals.tasks.golds import RULES, Gold, choose_rule, read_gold

TEXTS = ("sun", "moon", "star", "sea")


def golds(values, texts=TEXTS):
    return [Gold(f"rows.jsonl, line {i}", value, texts) for i, value in enumerate(values, start=1)]


def read(values, texts=TEXTS, **how):
    found = golds(values, texts)
    rule = choose_rule(found, "gold", **how)
    return rule, [read_gold(gold, "gold", rule) for gold in found]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 3, 1], ("position", [0, 3, 1])),
        (["0", "3", "1"], ("position", [0, 3, 1])),
        ([1, 4, 2], ("number", [0, 3, 1])),
        (["1", "4", "2"], ("number", [0, 3, 1])),
        (["A", "D", "B"], ("letter", [0, 3, 1])),
        (["a", " d ", "b"], ("letter", [0, 3, 1])),
        (["A", "4", "B", 1], ("label", [0, 3, 1, 0])),
        (["sun", "sea", "moon"], ("text", [0, 3, 1])),
    ],
)
def test_a_file_s_own_values_tell_the_rule(values, expected):
    assert read(values) == expected


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_every_spelling_of_the_same_choices_reads_the_same_or_is_refused(places):
    spellings = {
        "position": places,
        "number": [place + 1 for place in places],
        "letter": ["ABCD"[place] for place in places],
        "text": [TEXTS[place] for place in places],
        "label": [("ABCD"[place], str(place + 1))[i % 2] for i, place in enumerate(places)],
    }
    for rule, values in spellings.items():
        assert [RULES[rule](gold) for gold in golds(values)] == places
        if rule in ("position", "number") and all(str(v) in "123" for v in values):
            with pytest.raises(DataError, match="with `gold_is: position` or `gold_is: number`"):
                read(values)
        elif rule != "label":
            assert read(values) == (rule, places)


def test_a_number_that_could_be_either_is_refused_with_the_key_that_decides():
    with pytest.raises(DataError) as error:
        read([1, 2])
    assert str(error.value) == (
        "rows.jsonl, line 1, key 'gold': 1 stands for 'moon' as position and 'sun' as number, and no other "
        "row decides; say in the task file which it is, with `gold_is: position` or `gold_is: number`."
    )


def test_a_position_that_is_also_a_text_is_decided_by_the_other_rows_or_refused():
    numbers = ("0", "1", "3", "2")
    odd = [*golds([0, 3, 1]), Gold("line 4", 2, numbers)]
    assert choose_rule(odd, "gold") == "position"  # three rows of ARC
    with pytest.raises(
        DataError, match="3 stands for '2' as position, '3' as number and '3' as text, and no"
    ):
        read([3], numbers)
    assert read([1, 0], ("0", "1")) == ("position", [1, 0])  # both rules say the same
    assert read(["B", "A"], ("A", "B")) == ("letter", [1, 0])


def test_of_a_choice_named_by_a_letter_that_is_another_one_s_text_nothing_is_guessed():
    with pytest.raises(
        DataError, match=r"'A' stands for 'B' as letter and 'A' as text, .* `gold_is: letter` or"
    ):
        read(["A"], ("B", "A"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            [0, 4],
            "line 2, key 'gold' must be a position from 0 to 3 as in 1 of 2 rows, was 4, which is a number",
        ),
        ([0, -1], "line 2, key 'gold' must be a position from 0 to 3 as in 1 of 2 rows, was -1"),
        ([0, 1, "E"], "must be a position from 0 to 3 as in 2 of 3 rows, was 'E'"),
        (["A", "E", "D"], "line 2, key 'gold' must be a letter from A to D as in 2 of 3 rows, was 'E'"),
        (
            [0, 1, "sun"],
            "was 'sun', which is the text of a choice; one rule holds for a file .`gold_is` names",
        ),
        (
            ["son"],
            "a position from 0 to 3 or a number from 1 to 4 or a letter from A to D or the text of a choi",
        ),
        (["son"], r"was 'son' \(did you mean 'sun'\?\)"),
        ([[0]], r"was \[0\]"),
        ([None], "was None"),
        ([1.0], "was 1.0"),
        (["\u0661"], "was '\u0661'"),
    ],
)
def test_a_value_that_no_rule_reads_in_every_row_is_a_sentence(values, sentence):
    with pytest.raises(DataError, match=sentence):
        read(values)


def test_true_and_false_are_positions_only_where_the_file_says_so():
    (gold,) = golds([True], ("no", "yes"))
    with pytest.raises(DataError, match="`gold_is: position` takes false for choice 0 and true for choice 1"):
        choose_rule([gold], "gold")
    assert read_gold(gold, "gold", "position") == 1
    with pytest.raises(DataError, match="must be a position from 0 to 3"):
        read_gold(*golds([True]), "gold", "position")
    with pytest.raises(DataError, match="must be a number from 1 to 2"):
        read_gold(gold, "gold", "number")


def test_where_odd_rows_are_dropped_the_rule_that_reads_most_rows_holds():
    values = [0, 1, 3, 2, 0, -1, None]
    assert choose_rule(golds(values), "gold", tolerant=True) == "position"
    assert choose_rule(golds(["A", "D", "1", "?"]), "gold", tolerant=True) == "label"
    with pytest.raises(DataError, match="0 stands for 'sun' as position and nothing as number"):
        choose_rule(golds([0, 4]), "gold", tolerant=True)


def test_a_number_of_thousands_of_digits_is_no_choice():
    with pytest.raises(DataError, match="line 1, key 'gold' must be a position from 0 to 3 or"):
        read(["1" * 5000])
    assert read(["1" * 5000, "moon"], texts=(*TEXTS, "1" * 5000)) == ("text", [4, 1])
