"""What a model has written: its samples, as they are, each with how it was drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmexp.analysis.drawing.markup import Html, details, join, tag
from lmexp.core.values.numbers import number

_SHOWN = 6
"""Samples that stand open; the rest is one click away."""
_MOST = 60
_CHARACTERS = 4000


def samples_section(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> Html:
    """Return the samples of all stages; empty where there are none."""
    parts: list[Html] = []
    for name, rows in samples.items():
        if len([n for n, r in samples.items() if r]) > 1:
            parts.append(tag("h3", name))
        shown = [_sample(row) for row in rows[:_MOST]]
        parts.append(tag("div", *shown[:_SHOWN], class_="samples"))
        if len(shown) > _SHOWN:
            left = len(rows) - len(shown)
            more = tag("p", f"{left:,} more are in the artifact.", class_="quiet") if left else ""
            rest = tag("div", *shown[_SHOWN:], class_="samples")
            parts.append(details(f"{len(shown) - _SHOWN} more samples", rest, more))
    return join(parts) if any(samples.values()) else Html("")


def _sample(row: Mapping[str, Any]) -> Html:
    prompt, text = str(row.get("prompt", "")), str(row.get("text", ""))
    cut = len(text) > _CHARACTERS
    settings = [
        f"{key.replace('_', '-')} {number(row[key])}"
        for key in ("temperature", "top_k", "top_p", "seed")
        if isinstance(row.get(key), int | float)
    ]
    body = tag(
        "pre",
        tag("b", prompt, class_="prompt") if prompt else "",
        text[:_CHARACTERS] + ("…" if cut else ""),
        tabindex="0",
    )
    whence = "" if prompt else "from the beginning of a document; "
    caption = tag("figcaption", f"{whence}{', '.join(settings)}", class_="quiet")
    return tag("figure", body, caption, class_="sample")
