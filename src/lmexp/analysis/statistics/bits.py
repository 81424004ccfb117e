"""Bits per byte of a text, of the model and of what compresses the same text, by the names of metrics.

``<...>/bits_per_byte`` is the model's and ``<...>/<who>_bits_per_byte`` anybody else's (docs/interfaces.md),
whatever stage they come from. Where ``<...>/is_bound`` is 1 the model's figures are upper bounds: its own are
at most that, and are printed so.
"""

from collections.abc import Mapping

Bits = Mapping[str, tuple[float, float | None]]
"""Of one text: by who spends them, bits on each byte with their standard error; the model's name is empty."""

COMPRESSORS = {"gzip": "gzip -9", "xz": "xz -9e", "zstd": "zstd -19"}
"""The names of compressors in metrics, and what a person calls them."""


_OF_NATS = frozenset(
    (
        "bits_per_byte",
        "two_part_bits_per_byte",
        "regret_bits_per_byte",
        "loss",
        "perplexity",
        "byte_perplexity",
        "word_perplexity",
    )
)
"""Figures that are greater where the nats of a text are."""


def is_bound(metrics: Mapping[str, float], key: str) -> bool:
    """Return whether a figure, by its name in `metrics`, is an upper bound of the model's own."""
    head, _, name = key.rpartition("/")
    return name in _OF_NATS and metrics.get(f"{head}/is_bound") == 1


def sign(metrics: Mapping[str, float], key: str) -> str:
    """Return what stands before a figure: ``<= `` where it is a bound, else nothing."""
    return "<= " if is_bound(metrics, key) else ""


def bits_per_byte(metrics: Mapping[str, float]) -> dict[str, Bits]:
    """Return, for each text that was measured, who spends how many bits on each byte."""
    found: dict[str, dict[str, tuple[float, float | None]]] = {}
    for key, value in metrics.items():
        head, _, name = key.rpartition("/")
        if head and name.endswith("bits_per_byte"):
            who = name.removesuffix("bits_per_byte").rstrip("_")
            found.setdefault(head, {})[who] = (value, metrics.get(f"{key}/stderr"))
    return dict(found)


def remarks(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return, for each text of which the model's figure is none to compare with others', why not."""
    found: dict[str, str] = {}
    for key, value in metrics.items():
        head, _, name = key.rpartition("/")
        if name == "zero_tokens" and value:
            tokens, rest = metrics.get(f"{head}/tokens", 0), metrics.get(f"{head}/rest_loss")
            others = "" if rest is None else f"; the others lose {rest:.4f} nats each"
            found[head] = (
                f"the model gives {value:,.0f} of {tokens:,.0f} tokens the probability 0, and loses "
                f"infinitely many bits on them{others}. A smoothed model gives each token something."
            )
        elif name == "is_normalized" and not value:
            found[head] = (
                "the model's numbers do not sum to one over the vocabulary: its bits per byte are no code "
                "length, and are not ranked beside others'."
            )
        elif name == "lost_share" and value and f"{head}/bits_per_byte" in metrics:
            found[head] = (
                f"the tokenizer loses {value:.2%} of the text's bytes: the model's figures are those of a "
                "coarser text, and are not ranked beside others'."
            )
    return found


def loses_to_compressors(metrics: Mapping[str, float], head: str) -> str:
    """Return the sentence on the compressors that need fewer bits than the model on the text `head`.

    It is empty where none does, and where the model's bits are a bound: they may be fewer than any.
    """
    values = bits_per_byte(metrics)[head]
    if is_bound(metrics, f"{head}/bits_per_byte"):
        return ""
    ahead = [name for who, name in COMPRESSORS.items() if "" in values and _is_less(who, values)]
    if not ahead:
        return ""
    names = f"{', '.join(ahead[:-1])} and {ahead[-1]} need" if len(ahead) > 1 else f"{ahead[0]} needs"
    return (
        f"{names} fewer bits than the model, which has not learnt yet what a compressor finds in the text "
        "itself: more trainer.max_steps or more text would help, then a larger model."
    )


def lost_share(metrics: Mapping[str, float], head: str) -> float | None:
    """Return the share of a text's bytes that the tokenizer lost; None of a tokenizer that loses nothing."""
    return metrics.get(f"{head}/lost_share")


def unranked(metrics: Mapping[str, float], metric: str) -> str:
    """Return why a metric is of no rank beside those of other models; empty where it has one.

    That is so of a model that is no distribution, and of a text of which bytes are lost.
    """
    head, _, _ = metric.rpartition("/")
    if metrics.get(f"{head}/is_normalized") == 0:
        return "it is no distribution"
    lost = lost_share(metrics, head)
    return f"the tokenizer loses {lost:.2%} of the text's bytes" if lost else ""


def _is_less(who: str, values: Bits) -> bool:
    return who in values and values[who][0] < values[""][0]
