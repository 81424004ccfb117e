"""Texts that end a text."""

from hypothesis import given
from hypothesis import strategies as st

from lmexp.generation.stops import cut, held_back, is_ended

TEXT = st.text("ab \ufffd", max_size=12)
STOPS = st.lists(st.text("ab ", min_size=1, max_size=3), max_size=3)


@given(TEXT, STOPS)
def test_what_is_cut_holds_no_stop_and_begins_the_text(text, stops):
    kept = cut(text, stops)
    assert text.startswith(kept)
    assert not is_ended(kept, stops)
    assert is_ended(text, stops) == (kept != text)


@given(TEXT, TEXT, STOPS)
def test_what_is_not_held_back_stays_whatever_follows(text, more, stops):
    if is_ended(text, stops):
        return
    shown = text[: len(text) - held_back(text, stops)]
    assert cut(text + more, stops).startswith(shown.rstrip("\ufffd"))
