"""Pieces of a page: every text that comes from a record passes through `escape`.

`Html` is a string that is markup already; a plain string is text and gets escaped wherever it is put
in. So a document or a prompt that holds a script shows as it is written and does nothing.
"""

import html
import re
from collections.abc import Iterable, Sequence

_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONG = 40
"""Characters from which on a cell gets room to wrap in."""


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Return `value` as markup: text is escaped, markup stays.

    Control characters and lone surrogates, which no page may hold, become U+FFFD, as do the invisible
    characters that reverse the direction of what follows. A carriage return ends a line where a line feed
    follows, and alone it shows as its symbol.
    """
    if isinstance(value, Html):
        return value
    text = str(value).replace("\r\n", "\n").replace("\r", "\N{SYMBOL FOR CARRIAGE RETURN}")
    text = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
    return Html(html.escape(text, quote=True))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """Return an element; ``class_`` and ``for_x`` become ``class`` and ``for-x``, None leaves one out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>{join(content)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Return the parts one after the other, texts escaped."""
    return Html(between.join(escape(part) for part in parts))


def table(
    headers: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    numeric: Sequence[int] = (),
    marked: Sequence[int] = (),
    stacked: bool = False,
) -> Html:
    """Return a table that scrolls by itself where it is wider than the page.

    The first cell of a row is its header; columns in `numeric` align right, rows in `marked` stand out.
    One that is `stacked` wraps its words, and on a narrow screen shows each row as a list of its cells.
    """
    head = join(
        tag("th", _breakable(h) if stacked else h, scope="col", class_="n" if i in numeric else None)
        for i, h in enumerate(headers)
    )
    body = []
    for number, row in enumerate(rows):
        cells = [
            tag(
                "td" if i else "th",
                cell,
                scope=None if i else "row",
                class_=_class(cell, i in numeric),
                data_label=headers[i] if stacked and headers[i] and cell != "" else None,
            )
            for i, cell in enumerate(row)
        ]
        body.append(tag("tr", *cells, class_="best" if number in marked else None))
    title = tag("caption", caption) if caption else ""
    kind = "stacked" if stacked else None
    whole = tag("table", title, tag("thead", tag("tr", head)), tag("tbody", *body), class_=kind)
    return tag("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption or "table")


def _breakable(name: object) -> Html:
    """Return a dotted key or a metric's name that may break behind each of its parts."""
    return join(re.split(r"(?<=[/._])", str(name)), "<wbr>")


def _class(cell: object, is_number: bool) -> str | None:
    if is_number:
        return "n"
    return "long" if not isinstance(cell, Html) and len(str(cell)) > _LONG else None


def details(summary: object, *content: object) -> Html:
    """Return a part that opens when it is asked for."""
    return tag("details", tag("summary", summary), *content)
