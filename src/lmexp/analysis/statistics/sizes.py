"""How large a model is and what a text costs together with it, found by the names of metrics."""

from collections.abc import Mapping

from lmexp.analysis.statistics.bits import COMPRESSORS, sign

Rows = list[tuple[str, ...]]
"""A table, the head first."""

_FORMS = {"stored": "as stored", "bf16": "rounded to bf16", "int8": "rounded to int8"}
_WITH_DICTIONARY = "zstd_dictionary_two_part_bits_per_byte"


def size_rows(metrics: Mapping[str, float]) -> Rows:
    """Return, for each form of each model, its compressed bytes and what a text costs under it, in all."""
    heads = [key.removesuffix("/stored_bytes") for key in metrics if key.endswith("/stored_bytes")]
    rows: Rows = []
    for head in heads:
        for form, words in _FORMS.items():
            told = metrics.get(f"{head}/coded_bytes/{form}")
            if told is None:
                continue
            for split in _splits(metrics, head):
                data = metrics.get(f"{head}/{split}/data_bits_per_byte/{form}")
                both = metrics.get(f"{head}/{split}/two_part_bits_per_byte/{form}")
                bound = sign(metrics, f"{head}/{split}/bits_per_byte")
                rows.append((f"{head}/{split}", f"model {words}", f"{told:,.0f}", *_bits(data, both, bound)))
        for split in _splits(metrics, head):
            rows += _compressors(metrics, f"{head}/{split}")
    return [("size, and the text with it", "", "bytes", "bits per byte", "two-part"), *rows] if rows else []


def _splits(metrics: Mapping[str, float], head: str) -> list[str]:
    return [key.split("/")[-2] for key in metrics if key.startswith(f"{head}/") and key.endswith("/bytes")]


def _compressors(metrics: Mapping[str, float], head: str) -> Rows:
    """Return what compressors make of the same text; what they begin with, if anything, is counted."""
    rows: Rows = [
        (head, words, "", f"{metrics[key]:.4f}", f"{metrics[key]:.4f}")
        for who, words in COMPRESSORS.items()
        if (key := f"{head}/{who}_bits_per_byte") in metrics
    ]
    if f"{head}/{_WITH_DICTIONARY}" in metrics:
        alone = metrics[f"{head}/zstd_dictionary_bits_per_byte"]
        both = metrics[f"{head}/{_WITH_DICTIONARY}"]
        rows.append((head, "zstd -19 with a dictionary", "", *_bits(alone, both, "")))
    return rows


def _bits(data: float | None, both: float | None, bound: str) -> tuple[str, str]:
    alone, together = ("" if v is None else f"{bound}{v:.4f}" for v in (data, both))
    return alone, together
