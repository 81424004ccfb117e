import html
import html.parser

from hypothesis import given
from hypothesis import strategies as st

from lmexp.analysis.drawing.markup import Html, details, escape, table, tag


class Seen(html.parser.HTMLParser):
    """The elements and the text that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(st.text())
def test_any_text_stays_text(text):
    seen = Seen(tag("p", text, title=text))
    assert [name for name, _ in seen.tags] == ["p"]
    plain = all(c in "\n\t" or (c.isprintable() and c not in "\u2028\u2029") for c in text)
    if plain:
        assert seen.text == text
        assert seen.tags[0][1]["title"] == text


def test_what_no_page_may_hold_becomes_a_replacement_character():
    assert escape("a\x00\x1b\x9f\ud800\u202eb") == "a\ufffd\ufffd\ufffd\ufffd\ufffdb"


def test_a_carriage_return_is_a_line_end_before_a_line_feed_and_its_symbol_alone():
    assert escape("one\r\ntwo\rthree\r") == "one\ntwo\u240dthree\u240d"
    assert escape("é\n\t漢字 עברית") == "é\n\t漢字 עברית"


def test_markup_is_not_escaped_twice():
    inner = tag("b", "<x>")
    assert tag("p", inner, "&") == "<p><b>&lt;x&gt;</b>&amp;</p>"
    assert isinstance(inner, Html)


def test_the_headers_of_a_table_say_what_they_head():
    seen = Seen(table(("name", "value"), [("a", 1), ("b", "x" * 50)], caption="C", numeric=(1,), marked=(1,)))
    headers = [(name, a.get("scope"), a.get("class")) for name, a in seen.tags if name in ("th", "td")]
    assert headers == [
        ("th", "col", None),
        ("th", "col", "n"),
        ("th", "row", None),
        ("td", None, "n"),
        ("th", "row", None),
        ("td", None, "n"),
    ]
    assert [a.get("class") for name, a in seen.tags if name == "tr"] == [None, None, "best"]
    assert ("caption", {}) in seen.tags


def test_details_open_when_they_are_asked_for():
    assert details("more <", "x") == "<details><summary>more &lt;</summary>x</details>"
