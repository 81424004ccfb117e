"""Bits per byte of a text, of the model and of what compresses the same text, by the names of metrics.

``<...>/bits_per_byte`` is the model's and ``<...>/<who>_bits_per_byte`` anybody else's (docs/interfaces.md),
whatever stage they come from.
"""

from collections.abc import Mapping

Bits = Mapping[str, tuple[float, float | None]]
"""Of one text: by who spends them, bits on each byte with their standard error; the model's name is empty."""

COMPRESSORS = {"gzip": "gzip -9", "xz": "xz -9e", "zstd": "zstd -19"}
"""The names of compressors in metrics, and what a person calls them."""


def bits_per_byte(metrics: Mapping[str, float]) -> dict[str, Bits]:
    """Return, for each text that was measured, who spends how many bits on each byte."""
    found: dict[str, dict[str, tuple[float, float | None]]] = {}
    for key, value in metrics.items():
        head, _, name = key.rpartition("/")
        if head and name.endswith("bits_per_byte"):
            who = name.removesuffix("bits_per_byte").rstrip("_")
            found.setdefault(head, {})[who] = (value, metrics.get(f"{key}/stderr"))
    return dict(found)


def loses_to_compressors(values: Bits) -> str:
    """Return the sentence on the compressors that need fewer bits than the model; empty where none does."""
    ahead = [name for who, name in COMPRESSORS.items() if "" in values and _is_less(who, values)]
    if not ahead:
        return ""
    names = f"{', '.join(ahead[:-1])} and {ahead[-1]} need" if len(ahead) > 1 else f"{ahead[0]} needs"
    return (
        f"{names} fewer bits than the model, which has not learnt yet what a compressor finds in the text "
        "itself: more trainer.max_steps or more text would help, then a larger model."
    )


def _is_less(who: str, values: Bits) -> bool:
    return who in values and values[who][0] < values[""][0]
